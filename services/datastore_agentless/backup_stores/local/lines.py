"""One long SSH session to a node by the `ssh` binary. Keys are files in memory that belong to this process, and end with it."""

from __future__ import annotations

import os
import select
import shlex
import subprocess
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_ssh_private_key

from services.datastore_agentless.backup_stores.local.memory import in_memory
from services.datastore_agentless.hosts.base import HostKeyChanged, Target

CHUNK = 1024 * 1024
# The node says something every few seconds, be it that there is nothing to say.
SILENCE_SECONDS = 90.0
SESSION_SECONDS = 24 * 3600
UNREACHED = 255
_STRANGER = ("Host key verification failed", "HOST IDENTIFICATION HAS CHANGED", "no matching host key type")


class LineDropped(Exception):
    """The session is over, and nobody had asked for that. `code` is ssh's own: 255 where it is the line that broke."""

    def __init__(self, message: str, code: int = UNREACHED) -> None:
        super().__init__(message)
        self.code = code


class Login:
    """How `ssh` reaches a target: which words to call it with. No secret is among them."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._jump = Login(target.jump) if target.jump else None
        self._key = _path(in_memory("key", _opened(target)))
        hosts = "".join(f"dtrove {line}\n" for line in target.known_host.splitlines() if line.strip())
        self._hosts = _path(in_memory("known_hosts", hosts.encode()))

    def words(self) -> list[str]:
        """The call, but for what to run."""
        target = self._target
        options = {
            "BatchMode": "yes", "IdentitiesOnly": "yes", "IdentityAgent": "none", "IdentityFile": self._key,
            "HostKeyAlias": "dtrove", "UserKnownHostsFile": self._hosts, "GlobalKnownHostsFile": os.devnull,
            "StrictHostKeyChecking": "yes", "UpdateHostKeys": "no", "HostKeyAlgorithms": "ssh-ed25519",
            "PreferredAuthentications": "publickey", "ConnectTimeout": "15", "ServerAliveInterval": "15",
            "ServerAliveCountMax": "4", "LogLevel": "ERROR", "Ciphers": "^aes128-gcm@openssh.com", "Compression": "no",
        }  # fmt: skip
        if self._jump:
            through = [*self._jump.words(), "-W", f"{_bracketed(target.addr)}:{target.port}", "--", self._jump.host]
            # Source: ssh_config(5), TOKENS: a percent sign is written twice.
            options["ProxyCommand"] = shlex.join(through).replace("%", "%%")
        flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "none", "-T", *flags, "-p", str(target.port), "-l", target.user]

    @property
    def host(self) -> str:
        """Where to."""
        return self._target.addr


class Line:
    """A session whose standard input is a script for `sh` first, and then what the script reads.

    Behind a prefix that hands its words on to one more shell there are only words that none changes, as in hosts/runner.py.
    """

    def __init__(self, target: Target, login: Login) -> None:
        self._target = target
        self._words = os.memfd_create("words")
        command = f"{target.prefix}timeout {SESSION_SECONDS} sh -s"
        self._process = subprocess.Popen([*login.words(), "--", login.host, command], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=self._words, bufsize=0)  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._read = b""
        self.heard = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            self._process.kill()
        os.close(self._words)

    def end(self) -> None:
        """End the session: whoever reads from it is told."""
        self._process.kill()

    def read_line(self) -> str:
        """The next line. Raises LineDropped, HostKeyChanged."""
        while b"\n" not in self._read:
            self._read += self._more(4096)
        line, _, self._read = self._read.partition(b"\n")
        self.heard = True
        return line.decode(errors="replace")

    def read(self, most: int) -> bytes:
        """What comes next, at most so many bytes and at least one."""
        if self._read:
            piece, self._read = self._read[:most], self._read[most:]
            return piece
        return self._more(min(most, CHUNK))

    def write(self, data: bytes) -> None:
        """Send all of it. Raises LineDropped."""
        rest = memoryview(data)
        while rest:
            if not select.select([], [self._in], [], SILENCE_SECONDS)[1]:
                raise LineDropped(f"{self._target.name} takes nothing any more")
            try:
                rest = rest[os.write(self._in, rest[:65_536]) :]
            except OSError as error:
                raise self._over() from error

    def _more(self, most: int) -> bytes:
        if not select.select([self._out], [], [], SILENCE_SECONDS)[0]:
            raise LineDropped(f"{self._target.name} has fallen silent")
        data = os.read(self._out, most)
        if not data:
            raise self._over()
        return data

    def _over(self) -> Exception:
        """Why there is no more to read: what ssh has said, or whoever ran at the other side."""
        try:
            code = self._process.wait(SILENCE_SECONDS)
        except subprocess.TimeoutExpired:
            code = UNREACHED
        said = os.pread(self._words, 4096, 0).decode(errors="replace").strip()
        if code == UNREACHED and any(words in said for words in _STRANGER):
            return HostKeyChanged(
                f"{self._target.name} ({self._target.addr}) shows another host key than the pinned one; nothing was sent to it",
                expected=self._target.known_host,
                what_to_do="find out whether the server was replaced or somebody stands in between",
            )  # fmt: skip
        return LineDropped(said or f"the session to {self._target.name} has ended", code)


def _opened(target: Target) -> bytes:
    """The private key without its passphrase."""
    passphrase = target.passphrase.reveal().encode() or None
    key = load_ssh_private_key(target.private_key.reveal().encode(), passphrase)
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


def _path(made: int) -> str:
    """Where others find a file in memory: among this process's own, and only for as long as that lives."""
    return f"/proc/{os.getpid()}/fd/{made}"


def _bracketed(addr: str) -> str:
    return f"[{addr}]" if ":" in addr else addr
