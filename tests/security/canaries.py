"""Secrets by name, and the search for them: in files, messages, answers, rows, and in what every process was started with."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from sqlalchemy import select

from client.configuration import SERVICES
from shared.db import Database, Sealed
from shared.secrets import KeyringFile, Secret, read_keyring
from tests.security.bus import address

# Where a secret of the installation is kept on purpose: files for their owner alone.
KEPT = re.compile(
    r"keyring(\.new)?|client\.json|run/environment|run/secrets/.*|rabbitmq/(ports\.json|rabbitmq\.conf|\.erlang\.cookie)"
)
LEAST = 8
# What is the same in every key, and so says nothing.
COMMON = re.compile(r"-----(BEGIN|END) [A-Z ]+-----|b3BlbnNzaC1rZXktdjE.*")
EVERY_SECONDS = 0.05


@dataclass
class Canaries:
    """Secrets by what they are. `found` has where which of them was seen."""

    secrets: dict[str, str] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)
    searched: int = 0

    def plant(self, name: str, secret: str) -> str:
        """Look for this from now on."""
        self.secrets[name] = secret
        return secret

    def look(self, where: str, data: bytes | str, but: Iterable[str] = ()) -> None:
        """Search `data` for every secret, except those whose names begin with one of `but`."""
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        self.searched += len(raw)
        for name, secret in list(self.secrets.items()):
            if not name.startswith(tuple(but)) and any(form in raw for form in _forms(secret)):
                self.found.add(f"{name} in {where}")

    def look_into(self, home: Path, on_bus: Iterable[str] = ()) -> None:
        """Search every file below `home`, except where secrets are kept: there nobody else may read.

        RabbitMQ's own files may hold what other systems have put on the bus themselves: secrets named `on_bus`.
        """
        for path in sorted(home.rglob("*")):
            name = str(path.relative_to(home))
            if not path.is_file() or path.is_symlink() or name.startswith("images/"):
                continue
            if KEPT.fullmatch(name):
                assert path.stat().st_mode & 0o077 == 0, f"{name} can be read by others"
                continue
            self.look(name, path.read_bytes(), on_bus if name.startswith("rabbitmq/") else ())


def _forms(secret: str) -> Iterator[bytes]:
    """How a secret may stand somewhere: as it is, in JSON, in a URL, or a line of it."""
    for line in secret.splitlines():
        if len(line) >= LEAST and not COMMON.match(line):
            yield line.encode()
            if (quoted := quote(line, safe="")) != line:
                yield quoted.encode()


def sealed_secrets(home: Path, urls: dict[str, str] | None = None) -> dict[str, str]:
    """Every secret in the installation's databases, opened with its keyring: passwords, keys, passphrases.

    Bodies of answers and messages are sealed whole; what is secret in them is planted by whoever put it there.
    """
    Sealed.keyring = KeyringFile(home / "keyring")
    found = {}
    for service in SERVICES:
        module = __import__(f"services.{service}.store.tables", fromlist=["metadata"])
        database = Database((urls or {}).get(service) or f"sqlite:///{home}/{service}.sqlite", service, module.metadata)
        with database.read() as connection:
            for table in database.metadata.sorted_tables:
                for column in (one for one in table.columns if isinstance(one.type, Sealed) and "body" not in one.name):
                    for number, value in enumerate(connection.execute(select(column)).scalars()):
                        if isinstance(value, Secret) and len(value.reveal()) >= LEAST:
                            found[f"{service}.{table.name}.{column.name}[{number}]"] = value.reveal()
        database.engine.dispose()
    return found


def kept_secrets(home: Path) -> dict[str, str]:
    """What lies in the installation's own files."""
    keys = read_keyring(home / "keyring").keys
    return {
        **{f"key {number} of the keyring": key for number, key in enumerate(keys)},
        "RabbitMQ's password": str(urlsplit(address(home)).password),
        "the Erlang cookie": (home / "rabbitmq" / ".erlang.cookie").read_text().strip(),
    }


class Watch(threading.Thread):
    """Remembers, until it is told to end, the arguments and the environment of every process of this machine.

    Those of containers are among them. `mine` are processes of the test itself, which has to know what it plants.
    """

    def __init__(self, mine: Iterable[int]) -> None:
        super().__init__(daemon=True)
        self._mine = {str(pid) for pid in mine}
        self._ended = threading.Event()
        self.seen: dict[tuple[bytes, bytes], None] = {}

    def run(self) -> None:
        """Look again and again: a process may live for a moment only."""
        while not self._ended.wait(EVERY_SECONDS):
            for place in Path("/proc").glob("[0-9]*"):
                if place.name not in self._mine:
                    self._note(place)

    def end(self) -> None:
        """Look no more."""
        self._ended.set()
        self.join(30)

    def _note(self, place: Path) -> None:
        try:
            self.seen[(place / "cmdline").read_bytes(), (place / "environ").read_bytes()] = None
        except OSError:
            # It has ended meanwhile.
            return


def answers(installation: Any, but: tuple[str, ...] = ("/credentials",)) -> Iterator[tuple[str, str]]:
    """Path and text of everything that can be read over HTTP by an administrator, except what hands out logins."""
    waiting, seen = ["/v1/openapi.json", "/docs", "/metrics", "/healthz", "/readyz", "/v1/flavors", "/v1/datastores",
                     "/v1/tokens?limit=100", "/v1/projects", "/v1/parked", "/v1/check", "/v1/orphans",
                     "/v1/operations?limit=100", "/v1/clusters", "/v1/backups", "/v1/events?limit=100", "/v1/nothing"], set()  # fmt: skip
    while waiting:
        path = waiting.pop()
        if path in seen or path.endswith(but):
            continue
        seen.add(path)
        answer = installation.ask("GET", path)
        yield path, f"{answer.headers}\n{answer.text}"
        for kind, below in (("clusters", ("", "/instances", "/backups", "/credentials")), ("operations", ("", "/transcript")),
                            ("instances", ("",)), ("backups", ("",)), ("projects", ("/quotas",)), ("datastores", ("",))):  # fmt: skip
            if answer.ok and answer.headers.get("Content-Type") == "application/json":
                items = answer.json().get(kind) if isinstance(answer.json(), dict) else None
                waiting += [
                    f"/v1/{kind}/{one['id']}{end}" for one in items or [] if isinstance(one, dict) for end in below
                ]
