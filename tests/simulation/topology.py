"""Databases of the fleet that follow each other: who takes writes lies in a file of the host, and is judged when it is written.

Time stands for what was written: a primary has a tenth of a second's worth for each tenth that it lives, and a replica has it
a moment later, for as long as its primary runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from services.datastore_agentless.datastores.base import Topology
from services.datastore_agentless.datastores.base.topology import NOTHING, STREAMS
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.standing import Standing
from services.datastore_agentless.hosts.base import Job, Put, Run, Script

ROLE_FILE, ASK = "/etc/simd-role.conf", "simd --standing"
PRIMARY, FROZEN, FOLLOW, APART = "primary", "frozen", "follow", "apart"
LAGS = (0.1, 0.3, 0.5)


@dataclass
class Roles:
    """The role of each host by its address, as `word whose`.

    `off` says when a database was stopped with its server, `unheard` since when nobody hears of one that runs on.
    """

    is_up: Callable[[str], bool]
    now: Callable[[], float]
    of: dict[str, tuple[str, str]] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    off: dict[str, float] = field(default_factory=dict)
    unheard: dict[str, float] = field(default_factory=dict)
    breaches: list[str] = field(default_factory=list)

    def stop(self, addr: str) -> None:
        """The server's power is gone, and its database does not start by itself; its network comes back with it."""
        self.off.setdefault(addr, self.now())
        self.unheard.pop(addr, None)

    def cut_off(self, addr: str) -> None:
        """A database runs on, takes writes, and reaches none of its replicas."""
        self.unheard.setdefault(addr, self.now())

    def writes(self, addr: str) -> bool:
        """Whether a client could write there."""
        return self.of.get(addr, ("", ""))[0] == PRIMARY and addr not in self.off and self.is_up(addr)

    def change(self, addr: str, content: str) -> None:
        """A host is given a role: I4 and I5 are judged here."""
        word, _, whose = content.partition(" ")
        if word == PRIMARY and self.of.get(addr) != (word, whose):
            for other, role in self.of.items():
                if other != addr and role == (PRIMARY, whose) and self.writes(other):
                    self.breaches.append(f"I4: {addr} takes writes while {other} does")
            before, followed = self.of.get(addr, ("", ""))
            if (
                before == FOLLOW
                and self.of.get(followed, ("", ""))[0] == FROZEN
                and self.received(addr) < self.received(followed)
            ):
                self.breaches.append(f"I5: {addr} takes over from {followed} without all that it has acknowledged")
        if self.of.get(addr) != (word, whose):
            self.since[addr] = self.now()
        self.of[addr] = (word, whose)
        if word == FOLLOW:
            self.off.pop(addr, None)

    def received(self, addr: str) -> int:
        """Tenths of a second."""
        word, whose = self.of.get(addr, ("", ""))
        end = self.off.get(addr, self.now())
        if word == FOLLOW:
            lag = LAGS[sum(addr.encode()) % len(LAGS)]
            if whose in self.off or self.of.get(whose, ("", ""))[0] == PRIMARY:
                return int(10 * (min(end, self.off.get(whose, end), self.unheard.get(whose, end)) - lag))
            return int(10 * min(end - lag, self.since.get(whose, end)))
        return int(10 * (self.since[addr] if word == FROZEN else end))

    def standing(self, addr: str) -> str | None:
        """What the database says of itself, as JSON; None where it does not run."""
        if addr in self.off:
            return None
        word, whose = self.of.get(addr, (PRIMARY, ""))
        followed = whose if word == FOLLOW else ""
        streams = bool(followed) and followed not in {*self.off, *self.unheard} and self.is_up(followed)
        return json.dumps({"writable": word == PRIMARY, "received": self.received(addr), "position": str(self.received(addr)),
                           "follows": followed, "streams": streams})  # fmt: skip


class SimTopology(Topology):
    """The least that a topology does: a word to the primary, a copy that takes its time, a file, a look."""

    def admit(self, primary: Instance, replica: Instance) -> Script:
        # Who has had a role keeps it: this is for the primary that the cluster begins with.
        yield Put(f"{ROLE_FILE}.first", f"{PRIMARY} {primary.cluster_id}", title=f"let {replica.name} follow")

    def join(self, replica: Instance, primary: Instance, source: Instance) -> Script:
        yield Job("copy", f"simd --copy {primary.addr}", title=f"copy {primary.name}")
        yield from self.follow(replica, primary)

    def following(self, replica: Instance, primary: Instance) -> Script:
        told = yield from self.standing(replica, primary)
        return STREAMS if told.follows == primary.addr and told.streams else f"it follows {told.follows or 'nobody'}"

    def protect(self, primary: Instance, replicas: Sequence[Instance], mode: str) -> Script:
        yield Run(f"simd --wait-for {len(replicas)}", title="write for whom a commit waits")

    def dismiss(self, primary: Instance, replica: Instance) -> Script:
        yield Run(f"simd --forget {replica.id}", title=f"keep nothing for {replica.name}")
        return NOTHING

    def standing(self, node: Instance, primary: Instance) -> Script:
        answer = yield Run(ASK, title="see where it stands", changes=False)
        return Standing(**json.loads(answer.stdout))

    def freeze(self, primary: Instance) -> Script:
        yield Put(ROLE_FILE, f"{FROZEN} {primary.cluster_id}", title="take no writes")
        return (yield from self.standing(primary, primary))

    def thaw(self, primary: Instance) -> Script:
        yield Put(ROLE_FILE, f"{PRIMARY} {primary.cluster_id}", title="take writes again")

    def promote(self, replica: Instance) -> Script:
        yield Put(ROLE_FILE, f"{PRIMARY} {replica.cluster_id}", title="take writes")

    def demote(self, former: Instance, primary: Instance) -> Script:
        yield from self.follow(former, primary)

    def follow(self, replica: Instance, primary: Instance) -> Script:
        yield Put(ROLE_FILE, f"{FOLLOW} {primary.addr}", title=f"follow {primary.name}")

    def reset(self, node: Instance) -> Script:
        yield Put(ROLE_FILE, APART, title="follow nobody, and take no writes")
