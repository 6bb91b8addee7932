"""Hosts in memory behind the runner's port: fences, detached jobs that outlive a line, lines that are cut, reboots.

What a host sees is written down, and judged there: no command of an epoch older than one it has seen, no job begun twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import ANY_CODE, HostUnreachable, Job, Put, Result, Run, Script
from services.datastore_agentless.hosts.driver import Driver
from services.datastore_agentless.hosts.simulated import SimulatedHost
from shared.errors import Retryable, StaleEpoch
from tests.simulation.topology import ASK, ROLE_FILE, Roles, SimTopology
from tests.support.keeping import SomeDumping, sent
from tests.support.places import BROUGHT, Places

LATENCY, LOOK_SECONDS = 0.01, 2.0


class Line(Protocol):
    """What happens between the controller and a host."""

    def at_host(self, addr: str, what: str) -> str:
        """Called before a command: `cut`, `reboot` or an empty word. May end the process."""

    def after_host(self, addr: str) -> str:
        """Called when the host has done it: `cut` or an empty word. May end the process."""


@dataclass
class RunningJob:
    """A job on a host: when it ends, and whether a reboot has ended it before."""

    ends_at: float
    result: Result
    lost: bool = False


@dataclass
class SimHost(SimulatedHost):
    """A host and what it has seen."""

    running: dict[str, RunningJob] = field(default_factory=dict)
    places: Places = field(default_factory=Places)


@dataclass
class Fleet:
    """All hosts by address, and the breaches that they noticed. `is_up` asks the cloud whether such a server is there."""

    line: Line
    is_up: Callable[[str], bool]
    who: Callable[[], str]
    now: Callable[[], float]
    job_seconds: float
    hosts: dict[str, SimHost] = field(default_factory=dict)
    breaches: list[str] = field(default_factory=list)
    starts: Counter[str] = field(default_factory=Counter)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    workers: dict[tuple[str, str, int], str] = field(default_factory=dict)
    fenced: bool = True
    roles: Roles = field(init=False)

    def __post_init__(self) -> None:
        self.roles = Roles(self.is_up, self.now)

    def host(self, addr: str) -> SimHost:
        """The host at an address."""
        if addr not in self.hosts:
            self.hosts[addr] = SimHost(public_key=f"ssh-ed25519 {addr}")
        return self.hosts[addr]

    def reboot(self, addr: str) -> None:
        """What runs there is gone; what was written stays."""
        for job in self.host(addr).running.values():
            job.lost = True


@dataclass(kw_only=True)
class SimRunner(Driver):
    """Runs scripts on a host of the fleet."""

    fleet: Fleet

    def run(self, command: Run) -> Result:
        host = self._reach(command.title)
        if command.line == ASK:
            told = self.fleet.roles.standing(self.target.addr)
            self._return()
            return Result(code=1, stderr="it does not run") if told is None else Result(stdout=told)
        told = host.places.answer(command, runs=False)
        if told is not None:
            self.fleet.breaches += [f"I11: {one} data are nowhere on {self.target.addr}" for one in host.places.lost]
            self._return()
            return Result(stdout=told)
        sample = host.public_key + "\n" if "ssh-keygen" in command.line else command.sample
        self._return()
        return Result(code=0 if 0 in command.ok_codes else command.ok_codes[0], stdout=sample)

    def put(self, command: Put) -> Result:
        host = self._reach(f"write {command.path}")
        before = host.files.get(command.path)
        host.files[command.path] = command
        self._give_role(command)
        self._return()
        return Result(changed=before is None or before.content != command.content)

    def _give_role(self, command: Put) -> None:
        roles, addr = self.fleet.roles, self.target.addr
        if command.path == ROLE_FILE or (command.path == f"{ROLE_FILE}.first" and addr not in roles.of):
            roles.change(addr, str(command.content))

    def follow(self, command: Job) -> Result:
        """Start or attach, then look until it ends; a line that is cut meanwhile is tried again by the next look."""
        name = f"{self.task_id}-{command.name}"
        self._start(name, command)
        until = self.clock.monotonic() + command.timeout
        while self.clock.monotonic() < until:
            if self.check:
                self.check()
            try:
                job = self._reach("look at a job").running[name]
                self._return()
            except HostUnreachable:
                self.clock.sleep(LOOK_SECONDS)
                continue
            if job.lost:
                del self.fleet.host(self.target.addr).running[name]
                self.fleet.starts[name] = 0
                raise Retryable(f"{command.title} is lost: starting it again")
            if self.clock.monotonic() >= job.ends_at:
                if self.on_output:
                    self.on_output("out", job.result.stdout)
                return job.result
            self.clock.sleep(min(LOOK_SECONDS, job.ends_at - self.clock.monotonic()))
        raise Retryable(f"{command.title} did not end in time")

    def _start(self, name: str, command: Job) -> None:
        host = self._reach(f"start {command.name}")
        if name not in host.running:
            self.fleet.starts[name] += 1
            if self.fleet.starts[name] > 1:
                self.fleet.breaches.append(f"I3: job {name} was started {self.fleet.starts[name]} times")
            ends_at = self.clock.monotonic() + self.fleet.job_seconds
            printed = sent() if command.name.startswith("send-") else f"simulated: {command.title}\n"
            if command.name.startswith("receive"):
                host.places.beside["restored"] = BROUGHT
            host.running[name] = RunningJob(ends_at, Result(code=0, stdout=printed))
        self._return()

    def _reach(self, what: str) -> SimHost:
        fleet, addr = self.fleet, self.target.addr
        fate = fleet.line.at_host(addr, what)
        self.clock.sleep(LATENCY)
        if fate == "reboot":
            fleet.reboot(addr)
        if fate or not fleet.is_up(addr):
            raise HostUnreachable(f"{self.target.name} does not answer")
        host = fleet.host(addr)
        if fleet.fenced and self.epoch < host.epochs.get(self.subject, 0):
            raise StaleEpoch(f"{self.target.name} has seen a newer epoch than {self.epoch}")
        host.epochs[self.subject] = self.epoch
        worker = fleet.workers.setdefault((addr, self.subject, self.epoch), fleet.who())
        if worker != fleet.who():
            fleet.breaches.append(f"I3: {worker} and {fleet.who()} both work on {addr} under epoch {self.epoch}")
        newest = fleet.seen.get((addr, self.subject), 0)
        if self.epoch < newest:
            fleet.breaches.append(f"I3: {what} ran on {addr} under epoch {self.epoch} after epoch {newest}")
        fleet.seen[addr, self.subject] = max(newest, self.epoch)
        return host

    def _return(self) -> None:
        if self.fleet.line.after_host(self.target.addr) == "cut":
            raise HostUnreachable(f"the line to {self.target.name} was cut")


class SimManager(BaseManager):
    """The least that a manager does: a package that takes its time, a file, a look."""

    url_scheme = "redis"
    process = "simd"
    topology_class = SimTopology
    dumping_class = SomeDumping

    @property
    def name(self) -> str:
        return "redis"

    def configure(self, instance: Instance) -> Script:
        written = yield Put("/etc/simd.conf", f"password {instance.admin_password.reveal()}", title="configure")
        return written.changed

    def verify(self, instance: Instance) -> Script:
        yield Run("simd --ask", title="ask the database", ok_codes=ANY_CODE, changes=False)
