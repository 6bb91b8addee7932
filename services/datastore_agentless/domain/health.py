"""How a node is, judged by four witnesses: SSH, the database's own protocol, its replication peers, the provider.

Nothing here looks at anything. A witness that was not asked, because an earlier one had said enough, is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.datastore_agentless.domain.standing import Standing
from shared.contracts.verdicts import Verdict, rank, worst

__all__ = [
    "Disk", "Engine", "Judgement", "Limits", "Machine", "Peer", "Port", "Provider", "Shell", "Statement",
    "Verdict", "judge", "rank", "worst",
]  # fmt: skip

DATA, ROOT, TMP = "data", "root", "tmp"
_PLACES = {DATA: "the disk of its data", ROOT: "its root file system", TMP: "its disk for temporary files"}
_MB = 1024 * 1024
# What a provider calls a server that runs, and one that certainly does not: all other words tell nothing for sure.
RUNS = ("ACTIVE",)
IS_OFF = ("SHUTOFF", "STOPPED", "DELETED", "SOFT_DELETED", "GONE")
# Nothing can be written any more, whatever the size of the disk.
EMPTY_BYTES = 16 * _MB
Fact = str | float | None


@dataclass(frozen=True)
class Limits:
    """Where well ends: seconds that a replica may be behind, and room on disks.

    The disk of the data wants `data_share` of itself free and `data_bytes`, of a small one no more than a quarter; the others
    want `other_share` or `other_bytes`, whichever is less.
    """

    lag_seconds: float = 30.0
    data_share: float = 0.05
    data_bytes: int = 256 * _MB
    other_share: float = 0.05
    other_bytes: int = 64 * _MB


@dataclass(frozen=True)
class Disk:
    """Room on a file system, in bytes; `size` is what a user may fill of it, free or not."""

    free: int
    size: int

    @property
    def percent(self) -> float:
        """How much of it is free."""
        return 100.0 * self.free / self.size if self.size else 100.0


@dataclass(frozen=True)
class Machine:
    """What a probe has seen of a host: seconds, bytes, load of the last minute. `process`: the engine's lives; None: unknown.

    `clock` is in seconds since 1970. `disks` by DATA, ROOT, TMP.
    """

    boot_id: str
    uptime: float
    load: float
    memory_available: int
    memory_total: int
    clock: float
    disks: Mapping[str, Disk]
    process: bool | None = None


@dataclass(frozen=True)
class Shell:
    """SSH: whether a probe came back, else why not. `wrong_key`: the host shows another key than the pinned one."""

    answers: bool
    words: str = ""
    wrong_key: bool = False
    machine: Machine | None = None


@dataclass(frozen=True)
class Engine:
    """The database, asked on its host: whether it answers, else why not. No `standing` where there are no replicas.

    `numbers` are what it counts, by the names of shared.contracts.numbers.
    """

    answers: bool
    words: str = ""
    standing: Standing | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Port:
    """The database's own protocol, from here: whether it greets, else why not."""

    answers: bool
    words: str = ""


@dataclass(frozen=True)
class Peer:
    """Another node of the cluster that could be asked: whether it receives from the one in question at this moment."""

    name: str
    receives: bool


@dataclass(frozen=True)
class Provider:
    """The provider's word for the server's state; empty where it did not say, with the reason in `words`."""

    status: str
    words: str = ""


@dataclass(frozen=True)
class Statement:
    """All that was said of one node. `primary_addr` is where the cluster's primary is; `leads` whether that is this node."""

    name: str
    leads: bool
    shell: Shell
    engine: Engine | None = None
    port: Port | None = None
    peers: tuple[Peer, ...] = ()
    provider: Provider | None = None
    primary_name: str = ""
    primary_addr: str = ""


@dataclass(frozen=True)
class Judgement:
    """A verdict with its sentence, the witnesses' words by their names, facts for whoever looks on, the engine's numbers."""

    verdict: Verdict
    message: str
    evidence: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Fact] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


def judge(said: Statement, limits: Limits | None = None) -> tuple[Verdict, str, dict[str, str]]:
    """The verdict, a sentence that names the node, and the evidence."""
    verdict, sentence = _verdict(said, limits or Limits())
    return verdict, f"{said.name} {sentence}", _evidence(said)


def _verdict(said: Statement, limits: Limits) -> tuple[Verdict, str]:
    if said.shell.wrong_key:
        return Verdict.IDENTITY_MISMATCH, "shows another host key than the pinned one: nothing is sent to it"
    if not said.shell.answers:
        return _of_silent(said)
    full, empty = _full(said.shell.machine, limits)
    if said.engine is not None and not said.engine.answers:
        down = f"is up, and its database does not answer: {said.engine.words}"
        if empty:
            return Verdict.DISK_FULL, f"{full}, and its database does not answer"
        return Verdict.DB_DOWN, f"{down}; besides, it {full}" if full else down
    if full:
        return Verdict.DISK_FULL, full
    standing = said.engine.standing if said.engine else None
    return _of_replication(said, standing, limits) if standing is not None else (Verdict.OK, "is well")


def _of_silent(said: Statement) -> tuple[Verdict, str]:
    """Nobody comes in over SSH. A provider that says `off` outweighs a peer, whose connection may not have noticed yet."""
    if said.port is not None and said.port.answers:
        return Verdict.SSH_DOWN_DB_UP, f"does not answer over SSH, its database does: {said.shell.words}"
    status = said.provider.status if said.provider else ""
    if status in IS_OFF:
        return Verdict.HOST_DOWN, f"does not answer, and the provider says that its server is {status}"
    if witness := next((peer for peer in said.peers if peer.receives), None):
        return (
            Verdict.NET_SPLIT,
            f"does not answer here, yet {witness.name} receives from it: only the way to it is cut",
        )
    runs = f"although the provider says that its server is {status}" if status in RUNS else "and nobody knows better"
    if status in RUNS and not said.peers:
        return Verdict.NET_SPLIT, f"does not answer, {runs}: its network is cut, or it hangs"
    if said.peers:
        return Verdict.HOST_DOWN, f"does not answer, no replica receives from it, {runs}"
    return Verdict.HOST_DOWN, f"does not answer, {runs}"


def _of_replication(said: Statement, standing: Standing, limits: Limits) -> tuple[Verdict, str]:
    broken, primary = Verdict.REPLICATION_BROKEN, said.primary_name or "the primary"
    if said.leads:
        return (Verdict.OK, "is well") if standing.writable else (broken, "is the primary, and takes no writes")
    if standing.writable:
        return broken, f"is to follow {primary}, and takes writes of its own"
    if standing.follows != said.primary_addr:
        return broken, f"is to follow {primary}, and follows {standing.follows or 'nobody'}"
    if not standing.streams:
        return broken, f"follows {primary}, and receives nothing"
    if standing.lag_seconds is not None and standing.lag_seconds > limits.lag_seconds:
        return Verdict.LAGGING, f"is {standing.lag_seconds:.0f} s behind {primary}"
    return Verdict.OK, "is well"


def _full(machine: Machine | None, limits: Limits) -> tuple[str, bool]:
    """What is to be said of the fullest disk, empty for nothing; and whether nothing can be written to it at all."""
    for place, disk in sorted((machine.disks if machine else {}).items(), key=lambda one: one[1].free):
        if place == DATA:
            wanted = max(limits.data_share * disk.size, min(limits.data_bytes, disk.size / 4))
        else:
            wanted = min(limits.other_share * disk.size, limits.other_bytes)
        if disk.free < wanted:
            room = f"{disk.free // _MB} MB ({disk.percent:.1f} %)"
            return f"has only {room} free on {_PLACES.get(place, place)}", disk.free < EMPTY_BYTES
    return "", False


def _evidence(said: Statement) -> dict[str, str]:
    shell, found = said.shell, dict[str, str]()
    found["ssh"] = shell.words or ("answers" if shell.answers else "does not answer")
    if said.engine is not None:
        found["database"] = "answers" if said.engine.answers else said.engine.words
    if said.port is not None:
        found["port"] = "greets" if said.port.answers else said.port.words
    if said.peers:
        words = (f"{peer.name} receives {'from it' if peer.receives else 'nothing from it'}" for peer in said.peers)
        found["peers"] = ", ".join(words)
    if said.provider is not None:
        found["provider"] = said.provider.status or said.provider.words or "says nothing"
    return found
