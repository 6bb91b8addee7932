"""Speaks to a host of the pool through the ssh binary: no password is asked for, and no key but the pinned one trusted."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from services.provisioner.providers.base import ProviderBusy, ProviderError
from services.provisioner.providers.static.inventory import PoolHost

CONNECT_SECONDS = 10
# Source: ssh(1): "ssh exits with the exit status of the remote command or with 255 if an error occurred."
SSH_FAILED = 255


class Unreachable(ProviderBusy):
    """The host did not answer over SSH."""


@dataclass(frozen=True)
class Jump:
    """A host to go through first: `login` is [user@]host, `host_key` its pinned public key."""

    login: str
    port: int
    private_key_file: Path
    host_key: str


@dataclass(frozen=True)
class Login:
    """Runs shell scripts as root on hosts of the pool, through `jump` where there is one."""

    jump: Jump | None = None

    def run(self, host: PoolHost, script: str, *arguments: str, timeout: float = 60.0) -> str:
        """Run a script, with arguments; returns what it printed. Raises Unreachable, ProviderError."""
        with tempfile.TemporaryDirectory(prefix="dtrove-ssh-") as folder:
            command = [*self._ssh(host, Path(folder)), "--", _remote(host, arguments)]
            try:
                done = subprocess.run(command, input=script, capture_output=True, text=True, errors="replace",
                                      timeout=timeout, check=False)  # fmt: skip
            except subprocess.TimeoutExpired as error:
                raise Unreachable(f"host {host.name} ({host.addr}) did not answer within {timeout:.0f} s",
                                  what_to_do="see whether the host is well") from error  # fmt: skip
            except OSError as error:
                raise ProviderError(f"ssh did not run: {error}", what_to_do="install the OpenSSH client") from error
        if done.returncode == 0:
            return done.stdout
        raise _error(host, done)

    def _ssh(self, host: PoolHost, folder: Path) -> list[str]:
        known = folder / "known_hosts"
        lines = [f"{host.name} {host.host_key}"]
        jump = []
        if self.jump is not None:
            lines.append(f"dtrove-jump {self.jump.host_key}")
            through = ["ssh", *_options(known, "dtrove-jump", self.jump.private_key_file), "-p", str(self.jump.port),
                       "-W", "[%h]:%p", "--", self.jump.login]  # fmt: skip
            jump = ["-o", f"ProxyCommand={shlex.join(through)}"]
        known.write_text("\n".join(lines) + "\n")
        return ["ssh", *_options(known, host.name, host.private_key_file), *jump, "-p", str(host.port), "-l", host.user,
                host.addr]  # fmt: skip


def _options(known_hosts: Path, alias: str, private_key_file: Path) -> list[str]:
    chosen = {
        "BatchMode": "yes", "StrictHostKeyChecking": "yes", "UserKnownHostsFile": str(known_hosts),
        "GlobalKnownHostsFile": "/dev/null", "HostKeyAlias": alias, "HostKeyAlgorithms": "ssh-ed25519",
        "UpdateHostKeys": "no", "IdentitiesOnly": "yes", "IdentityAgent": "none", "PreferredAuthentications": "publickey",
        "ConnectTimeout": str(CONNECT_SECONDS), "ServerAliveInterval": "5", "ServerAliveCountMax": "3",
        "ForwardAgent": "no", "LogLevel": "ERROR",
    }  # fmt: skip
    options = [word for name, value in chosen.items() for word in ("-o", f"{name}={value}")]
    return ["-F", "/dev/null", "-T", "-i", str(private_key_file), *options]


def _remote(host: PoolHost, arguments: tuple[str, ...]) -> str:
    root = "" if host.user == "root" else "sudo -n "
    return f"{root}sh -s -- {shlex.join(arguments)}"


def _error(host: PoolHost, done: subprocess.CompletedProcess[str]) -> Exception:
    words = done.stderr.strip()[-2000:]
    what_to_do = ""
    if done.returncode != SSH_FAILED:
        if "sudo" in words and "password" in words:
            what_to_do = f"let {host.user} sudo without a password on {host.name}, or log in as root"
        return ProviderError(f"host {host.name} could not do what it was asked (code {done.returncode})", stderr=words,
                             what_to_do=what_to_do or "mend what its last lines name, then retry the operation")  # fmt: skip
    if "verification failed" in words or "IDENTIFICATION HAS CHANGED" in words:
        return ProviderError(f"host {host.name} ({host.addr}) shows another host key than the list of hosts has",
                             stderr=words, what_to_do="find out why; if it is right, put its key into the list")  # fmt: skip
    if "Permission denied" in words:
        return ProviderError(f"host {host.name} does not let {host.user} in with {host.private_key_file}", stderr=words,
                             what_to_do="put that key's public half into its authorized_keys")  # fmt: skip
    return Unreachable(f"host {host.name} ({host.addr}) does not answer over SSH: {words.splitlines()[-1] if words else ''}",
                       what_to_do="see whether the host is up, and port and address are right")  # fmt: skip
