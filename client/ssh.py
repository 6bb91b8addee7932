"""A way in to an instance over SSH: a key made for one visit, opened through the API and closed afterwards."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from client.exits import Exit
from client.http import Api, ApiError
from client.terminal import err
from client.watching import changes, explain

DEFAULT_MINUTES, MAX_MINUTES = 60, 480
OPEN_SECONDS = 120.0


class Access:
    """An open way in, for the length of a `with` block; the private key never leaves this machine."""

    def __init__(self, api: Api, instance: str, minutes: int = DEFAULT_MINUTES) -> None:
        self._api, self._path, self._minutes = api, f"/v1/instances/{instance}/access", minutes
        self._key = Ed25519PrivateKey.generate()
        self._operation = ""
        self.granted: dict[str, Any] = {}

    def __enter__(self) -> Self:
        public = self._key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )  # fmt: skip
        wish = {"public_key": public.decode(), "minutes": self._minutes}
        _, self._operation = self._api.send("POST", self._path, wish)
        try:
            *_, ended = changes(self._api, self._operation, OPEN_SECONDS)
        except BaseException:
            self._close()
            raise
        if ended["status"] != "succeeded":
            explain(ended)
            raise typer.Exit(Exit.FAILED)
        self.granted = ended["result"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def private_key(self) -> bytes:
        """The private half, as ssh reads it."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )

    def known_hosts(self) -> str:
        """The one host that may answer, with exactly its keys."""
        host, port = self.granted["host"], self.granted["port"]
        name = host if port == 22 else f"[{host}]:{port}"
        return "".join(f"{name} {key}\n" for key in self.granted["host_keys"])

    def _close(self) -> None:
        try:
            self._api.send("DELETE", f"{self._path}/{self._operation}")
        except (ApiError, requests.RequestException) as error:
            err().print(f"the way in could not be closed: {error}\nit closes by itself within {self._minutes} min",
                        style="yellow", markup=False)  # fmt: skip


def remote_command(words: list[str]) -> str:
    """One word is a shell line as it stands; several are a program and its arguments."""
    return words[0] if len(words) == 1 else shlex.join(words)


def run_ssh(access: Access, command: str) -> int:
    """Run `ssh` in the foreground with this terminal; returns its exit code. Raises ApiError where there is no ssh."""
    with _files(access) as folder, _left_to_ssh():
        try:
            return subprocess.run(arguments(access, folder, command), check=False).returncode
        except FileNotFoundError as error:
            raise ApiError("there is no program `ssh` here; install OpenSSH's client", Exit.FAILED) from error


def arguments(access: Access, folder: Path, command: str) -> list[str]:
    """How ssh is called: with this key and no other, and for this host's keys and no others."""
    granted = access.granted
    options = {
        "IdentitiesOnly": "yes", "IdentityAgent": "none", "UserKnownHostsFile": str(folder / "known_hosts"),
        "GlobalKnownHostsFile": os.devnull, "StrictHostKeyChecking": "yes", "HostKeyAlgorithms": "ssh-ed25519",
        "PreferredAuthentications": "publickey", "ControlPath": "none", "LogLevel": "ERROR",
    }  # fmt: skip
    flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]
    jump = ["-J", granted["jump"]] if granted.get("jump") else []
    place = ["-p", str(granted["port"]), "-l", granted["user"], granted["host"]]
    return ["ssh", "-i", str(folder / "key"), *flags, *jump, *place, *(["--", command] if command else [])]


@contextlib.contextmanager
def _files(access: Access) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dtrove-ssh-") as name:
        folder = Path(name)
        with os.fdopen(os.open(folder / "key", os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(access.private_key())
        (folder / "known_hosts").write_text(access.known_hosts())
        yield folder


@contextlib.contextmanager
def _left_to_ssh() -> Iterator[None]:
    """Ctrl-C is for the other side while ssh runs."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
