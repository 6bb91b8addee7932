"""Many hosts at little cost: each is a port of loopback, behind which an sshd of the benchmark's own listens."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.installation import Broken
from bench.openssh import KeyPair, make_pair
from client.local.addresses import free_ports

PROGRAM = Path("/usr/sbin/sshd")
START_SECONDS = 10.0
# Of an sshd; more than 16 it refuses.
PORTS_EACH = 10
_CONFIG = """ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/login.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 300
PrintMotd no
# bash reads its start-up files only at the first level: what a machine has in them is not measured here.
SetEnv SHLVL=2
"""


@dataclass(frozen=True)
class Sshd:
    """What runs: its ports, the user who may log in with `login`, the host key that each port shows."""

    ports: tuple[int, ...]
    user: str
    login: KeyPair
    host: KeyPair


@contextmanager
def sshd(folder: Path, ports: int) -> Iterator[Sshd]:
    """As many hosts, each on a free port; they end with the block. Raises Broken where none is installed."""
    if not PROGRAM.exists():
        raise Broken("no sshd is installed: `make bench` installs the package openssh-server")
    made = Sshd(tuple(free_ports(ports)), getpass.getuser(), make_pair(folder / "login"), make_pair(folder / "host"))
    if os.geteuid() == 0:
        # Where sshd separates its privileges; Debian's unit makes it, and that one is not in use here.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    running: list[subprocess.Popen[bytes]] = []
    try:
        firsts = range(0, ports, PORTS_EACH)
        running.extend(_start(folder, made.ports[first : first + PORTS_EACH]) for first in firsts)
        for port in made.ports:
            _wait(port, folder / "log")
        yield made
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(10)


def _start(folder: Path, ports: tuple[int, ...]) -> subprocess.Popen[bytes]:
    config = folder / f"config-{ports[0]}"
    config.write_text("".join(f"Port {port}\n" for port in ports) + _CONFIG.format(folder=folder))
    with (folder / "log").open("ab") as log:
        command = [str(PROGRAM), "-D", "-e", "-f", str(config)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _wait(port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
                if probe.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.02)
    raise Broken(f"sshd does not answer at port {port}: {log.read_text()[-500:]}")
