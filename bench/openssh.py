"""The ssh binary, which DTrove's own SSH is measured against; and keys made by ssh-keygen."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bench.installation import Broken


@dataclass(frozen=True)
class KeyPair:
    """An ed25519 pair in files: `path` holds the private half, `path.pub` the public one."""

    path: Path

    @property
    def private(self) -> str:
        """The private half, as OpenSSH writes it."""
        return self.path.read_text()

    @property
    def public(self) -> str:
        """Type and key, without a comment."""
        return " ".join(self.path.with_name(self.path.name + ".pub").read_text().split()[:2])


def make_pair(path: Path) -> KeyPair:
    """Make a pair without a passphrase."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return KeyPair(path)


@dataclass(frozen=True)
class Line:
    """The way to one host: what `ssh` is called with. `control` is a ControlMaster's socket, where one is wanted."""

    addr: str
    port: int
    user: str
    key: KeyPair
    host_key: str
    control: Path | None = None

    def command(self, *remote: str) -> list[str]:
        """The whole command; nothing of the caller's own configuration comes in."""
        # An address may be another host's by now: what is known goes by the key.
        known = self.key.path.with_name(f"known-{sha256(self.host_key.encode()).hexdigest()[:16]}")
        if not known.exists():
            known.write_text(f"* {self.host_key}\n")
        options = {
            "IdentitiesOnly": "yes", "BatchMode": "yes", "StrictHostKeyChecking": "yes", "UserKnownHostsFile": str(known),
            "GlobalKnownHostsFile": "/dev/null", "LogLevel": "ERROR", "HostKeyAlgorithms": "ssh-ed25519",
            "UpdateHostKeys": "no", "ControlPath": str(self.control) if self.control else "none",
        }  # fmt: skip
        pairs = [f"-o{name}={value}" for name, value in options.items()]
        login = f"{self.user}@{self.addr}"
        return ["ssh", "-F", "/dev/null", *pairs, "-i", str(self.key.path), "-p", str(self.port), login, *remote]

    def run(self, *remote: str, stdin: str = "", timeout: float = 900.0) -> str:
        """Run a remote command; returns what it printed. Raises Broken where it fails."""
        done = self.attempt(*remote, stdin=stdin, timeout=timeout)
        if done.returncode != 0:
            raise Broken(f"ssh {self.addr} {remote} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def attempt(self, *remote: str, stdin: str = "", timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a remote command, whatever comes of it."""
        return subprocess.run(
            self.command(*remote), input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )

    def open_master(self) -> None:
        """Connect in the background, so that later commands go through the open connection."""
        assert self.control is not None
        command = self.command("-oControlMaster=yes", "-oControlPersist=yes", "-Nf")
        # Options come before the login, which is the last word that `command` puts in front of these.
        login = command.index(f"{self.user}@{self.addr}")
        command = [*command[:login], *command[login + 1 :], command[login]]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def close_master(self) -> None:
        """End the connection in the background."""
        command = self.command()
        subprocess.run([*command[:-1], "-O", "exit", command[-1]], capture_output=True, timeout=30, check=False)
