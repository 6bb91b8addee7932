"""What the processes of an installation are started with: where its files lie, where it listens, what knows it."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.local.addresses import TLS, any_free, is_free
from client.local.configuration import load

DEFAULT_ADDRESS = "127.0.0.1:8780"
# What a `nameko shell` beside the services needs to find the same broker and the same keys.
SHARED = ("DTROVE_HOME", "AMQP_URI", "WEB_SERVER_ADDRESS", "DTROVE_KEYRING")


@dataclass(frozen=True)
class LocalEnvironment:
    """The environment of the installation in `home`, as the file `config` and this process's own environment have it."""

    home: Path
    config: Path

    @property
    def file(self) -> Path:
        """What a `nameko shell` reads; it is there while the services run at their chosen addresses."""
        return self.home / "run" / "environment"

    @property
    def web(self) -> Path:
        """Where the API's address is remembered."""
        return self.home / "run" / "web"

    def options(self) -> dict[str, Any]:
        """The configured options."""
        return load(self.config, {**os.environ, "DTROVE_HOME": str(self.home)})

    def address(self) -> str:
        """Where the API listens as far as it is known: where it did last, or where it is configured to."""
        return self.web.read_text().strip() if self.web.exists() else self._configured_address()

    def make(self, amqp_uri: str) -> dict[str, str]:
        """The environment for services on that broker; an address for the API is chosen now, and remembered."""
        return {
            **os.environ,
            "DTROVE_HOME": str(self.home),
            "AMQP_URI": amqp_uri,
            "WEB_SERVER_ADDRESS": self.choose_address(),
            "PYTHONUNBUFFERED": "1",
            "DTROVE_KEYRING": os.environ.get("DTROVE_KEYRING") or str(self.home / "keyring"),
            "DTROVE_BOOTSTRAP_TOKEN_HASH": self._bootstrap_hash(),
        }

    def choose_address(self) -> str:
        """The configured address; in place of the default, if taken, the one of last time or any free one."""
        address = self._configured_address()
        if address == DEFAULT_ADDRESS:
            last = self.web.read_text().strip().removeprefix(TLS) if self.web.exists() else address
            address = next((each for each in (last, address) if is_free(each)), any_free())
        self.web.write_text(f"{TLS if self.options().get('DTROVE_TLS_CERT_FILE') else ''}{address}\n")
        return address

    def write(self, environ: dict[str, str]) -> None:
        """Leave it for a `nameko shell`: `set -a; . $DTROVE_HOME/run/environment`."""
        lines = [f"{name}={shlex.quote(environ[name])}" for name in SHARED]
        with os.fdopen(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write("\n".join(lines) + "\n")

    def forget(self) -> None:
        """Take it away: until it is written anew, nobody takes the API that answers at the last address for ours."""
        self.file.unlink(missing_ok=True)

    def _configured_address(self) -> str:
        return str(self.options().get("WEB_SERVER_ADDRESS") or DEFAULT_ADDRESS)

    def _bootstrap_hash(self) -> str:
        """What the first administrator's token is known by; `dtrove init` wrote it down."""
        path = self.home / "bootstrap_token_hash"
        return os.environ.get("DTROVE_BOOTSTRAP_TOKEN_HASH") or (path.read_text().strip() if path.exists() else "")
