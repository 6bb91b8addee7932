"""A real sshd of the suite's own: a free port of loopback, its own keys and configuration, in a directory that goes with it."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import subprocess
from pathlib import Path

from client.local.addresses import free_ports
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.hosts.base import Target
from services.datastore_agentless.hosts.ssh import SshPool
from shared.errors import DtroveError
from tests.support.installation import wait_for

PROGRAM = Path("/usr/sbin/sshd")
_CONFIG = """Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100:30:200
AllowTcpForwarding yes
PrintMotd no
# bash reads its start-up files only at the first level: what a machine has in them is not measured here.
SetEnv SHLVL=2
"""


class Sshd:
    """One server; the suite's own user logs in with `key`. Nothing of the system's own sshd is touched."""

    def __init__(self, directory: Path) -> None:
        if not PROGRAM.exists():
            raise RuntimeError("no sshd is installed: `make test` installs the package openssh-server")
        self.directory = directory
        self.user = getpass.getuser()
        self.key = Key.create("suite")
        self.port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The listening process; sessions have their own."""
        assert self._process is not None
        return self._process.pid

    @property
    def host_key(self) -> str:
        """The public half, as it is pinned."""
        return " ".join((self.directory / "host_key.pub").read_text().split()[:2])

    def start(self) -> Sshd:
        """Make the keys where there are none, start, and wait until a login works."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not (self.directory / "host_key").exists():
            self.change_key()
        (self.directory / "authorized_keys").write_text(self.key.public + "\n")
        (self.directory / "config").write_text(_CONFIG.format(port=self.port, directory=self.directory))
        if os.geteuid() == 0:
            # Where sshd separates its privileges; Debian's unit makes it, and that one is not in use here.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(PROGRAM), "-D", "-e", "-f", str(self.directory / "config")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(lambda: _answers(self.port), 10, what=f"sshd: {(self.directory / 'log').read_text()[-500:]}")
        return self

    def stop(self) -> None:
        """End the server and every session of it."""
        self.end_sessions()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def change_key(self) -> None:
        """Another host key, which is shown from the next start on."""
        for name in ("host_key", "host_key.pub"):
            (self.directory / name).unlink(missing_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.directory / "host_key"],
                       check=True)  # fmt: skip

    def sessions(self) -> list[int]:
        """The processes of open connections."""
        done = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in done.stdout.split()]

    def end_sessions(self) -> None:
        """Cut every connection; what it started lives on."""
        for pid in self.sessions() if self._process else ():
            # It may have ended by itself since it was listed.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def log(self) -> str:
        """What sshd wrote."""
        return (self.directory / "log").read_text()

    def target(self, **changes: object) -> Target:
        """How to reach it."""
        values = {"name": "node-1", "addr": "127.0.0.1", "port": self.port, "user": self.user,
                  "private_key": self.key.private, "passphrase": self.key.passphrase, "known_host": self.host_key}  # fmt: skip
        return Target(**{**values, **changes})  # type: ignore[arg-type]


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        try:
            probe.connect(("127.0.0.1", port))
            return probe.recv(4) == b"SSH-"
        except OSError:
            return False


def reaches(pool: SshPool, target: Target) -> bool:
    """Whether a command gets through."""
    try:
        return pool.run(target, "true").code == 0
    except DtroveError:
        return False
