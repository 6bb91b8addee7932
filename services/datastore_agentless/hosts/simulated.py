"""Hosts that exist in memory alone, for the `fake` provider: a whole DTrove works without one machine to log in to.

A host whose address ends in `.invalid` is one of these: RFC 2606 keeps that name from ever being real. A command takes
`latency` seconds and answers with its `sample`, a file is kept, a job prints its own or that it was simulated, fences hold.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.datastore_agentless.hosts.base import Job, Put, Result, Run
from services.datastore_agentless.hosts.driver import Driver
from shared.errors import StaleEpoch

DOMAIN = ".invalid"
HOSTS_KEPT = 2_000


def is_simulated(addr: str) -> bool:
    """Whether an address can only be a simulated host's."""
    return addr.endswith(DOMAIN)


@dataclass
class SimulatedHost:
    """What one host remembers: its key, the newest epochs, files by path, output of jobs by their full name."""

    public_key: str
    epochs: dict[str, int] = field(default_factory=dict)
    files: dict[str, Put] = field(default_factory=dict)
    jobs: dict[str, Result] = field(default_factory=dict)


@dataclass
class SimulatedHosts:
    """All simulated hosts of a process by address; `latency` is what a command takes, in seconds."""

    latency: float = 0.005
    _hosts: OrderedDict[str, SimulatedHost] = field(default_factory=OrderedDict)

    def host(self, addr: str) -> SimulatedHost:
        """The host at `addr`, made at first sight. The longest unused are forgotten past two thousand."""
        if addr not in self._hosts:
            self._hosts[addr] = SimulatedHost(public_key=_fresh_public_key())
            while len(self._hosts) > HOSTS_KEPT:
                self._hosts.popitem(last=False)
        self._hosts.move_to_end(addr)
        return self._hosts[addr]


@dataclass(kw_only=True)
class SimulatedRunner(Driver):
    """Runs scripts on a simulated host, recorded like on a real one."""

    hosts: SimulatedHosts

    def run(self, command: Run) -> Result:
        """Answer with the command's sample; whoever makes a key is given the host's own."""
        host = self._reach()
        sample = host.public_key + "\n" if "ssh-keygen" in command.line else command.sample
        return Result(code=_good(command.ok_codes), stdout=sample)

    def follow(self, command: Job) -> Result:
        """Run the job once: whoever comes again reads what it printed."""
        host = self._reach()
        name = f"{self.task_id}-{command.name}"
        if name not in host.jobs:
            title = command.title or command.name
            host.jobs[name] = Result(code=_good(command.ok_codes), stdout=command.sample or f"simulated: {title}\n")
        done = host.jobs[name]
        if self.on_output:
            self.on_output("out", self.transcript.mask(done.stdout))
        return done

    def put(self, command: Put) -> Result:
        """Keep the file; changed when it differs from what was kept before."""
        host = self._reach()
        before = host.files.get(command.path)
        host.files[command.path] = command
        return Result(changed=before is None or before.content != command.content)

    def _reach(self) -> SimulatedHost:
        self.clock.sleep(self.hosts.latency)
        host = self.hosts.host(self.target.addr)
        if self.look_seconds is not None:
            return host
        if self.epoch < host.epochs.get(self.subject, 0):
            raise StaleEpoch(f"{self.target.name} has seen a newer epoch than {self.epoch}")
        host.epochs[self.subject] = self.epoch
        return host


def _good(codes: tuple[int, ...]) -> int:
    return 0 if 0 in codes else codes[0]


def _fresh_public_key() -> str:
    public = Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
