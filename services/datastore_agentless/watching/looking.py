"""Looks at all nodes of a cluster: SSH first; whom that leaves in doubt, the other witnesses are asked about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from services.datastore_agentless.datastores.base import BaseManager, probing
from services.datastore_agentless.domain.health import (
    Disk,
    Engine,
    Fact,
    Judgement,
    Limits,
    Peer,
    Port,
    Provider,
    Shell,
    Statement,
    Verdict,
    judge,
)
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.record import Record
from services.datastore_agentless.hosts.base import CommandFailed, HostKeyChanged, HostUnreachable
from services.datastore_agentless.hosts.greeting import ANSWERS, greets
from services.datastore_agentless.hosts.simulated import is_simulated
from services.datastore_agentless.store.watches import Watched
from services.datastore_agentless.watching.hands import Hands
from services.datastore_agentless.workflows.on_host import Hosts, ManagerFor
from shared.clock import Clock, SystemClock
from shared.errors import DtroveError

PORT_SECONDS = 2.0
_MB = 1024 * 1024
Work = Callable[[], Statement | Port | None]
ServerStatus = Callable[[str], tuple[str, str]]
Greets = Callable[[str, int, bytes | None, float], str]


@dataclass(frozen=True)
class Looker:
    """The four witnesses. `server_status` asks the provider for a server's state and words, by the instance's id."""

    hosts: Hosts
    manager_for: ManagerFor
    server_status: ServerStatus
    limits: Limits = field(default_factory=Limits)
    greets: Greets = greets
    clock: Clock = field(default_factory=SystemClock)

    def look(self, watched: Watched, hands: Hands) -> dict[str, Judgement]:
        """A judgement for each node, by its id. One that could not be looked at is left out: what is held of it grows old."""
        manager = self.manager_for(watched.datastore)
        ports = self._begin_ports(manager, watched)
        works: list[Work] = [partial(self._ask_host, manager, watched, node) for node in watched.nodes]
        looks = hands.each([*works, *ports.values()])
        said = {node.id: one for node, one in zip(watched.nodes, looks, strict=False) if isinstance(one, Statement)}
        greeted = dict(zip(ports, looks[len(works) :], strict=True))
        doubtful = [node for node in watched.nodes if node.id in said and self._in_doubt(said[node.id])]
        for node in doubtful:
            if isinstance(port := greeted.get(node.id), Port):
                said[node.id] = replace(said[node.id], port=port)
        peers = _testimony_of_replicas(watched, said)
        asked = hands.each([partial(self._ask_others, manager, node, said[node.id], peers) for node in doubtful])
        said |= {node.id: one for node, one in zip(doubtful, asked, strict=True) if one is not None}
        return {node_id: self._judged(one, said, watched) for node_id, one in said.items()}

    def _begin_ports(self, manager: BaseManager, watched: Watched) -> dict[str, Work]:
        """Of nodes that are not well, or suspected, the port is asked together with SSH: a second look must not take long."""
        suspects = [node for node in watched.nodes if (held := watched.before.get(node.id)) and not held.is_well]
        return {node.id: partial(self._port, manager, node) for node in suspects}

    def _ask_host(self, manager: BaseManager, watched: Watched, node: Instance) -> Statement:
        primary = watched.primary
        leads = watched.cluster.leads(node.id)
        alone = len(watched.nodes) == 1 and leads
        said = Statement(name=node.name, leads=leads, shell=Shell(answers=True),
                         primary_name=primary.name if primary else "", primary_addr=primary.addr if primary else "")  # fmt: skip
        try:
            machine = self.hosts.look(node, probing.probe(manager, node), probing.PROBE_SECONDS)
        except HostKeyChanged as error:
            return replace(said, shell=Shell(answers=False, words=error.message, wrong_key=True))
        except (HostUnreachable, CommandFailed) as error:
            return replace(said, shell=Shell(answers=False, words=_words(error)))
        said = replace(said, shell=Shell(answers=True, machine=machine))
        if machine.process is False:
            return replace(said, engine=Engine(answers=False, words=f"its process {manager.process} does not run"))
        try:
            # What was suspected is looked at again by the plain question: counting never makes a node ill.
            count = _answered(watched.before.get(node.id))
            asking = probing.ask(manager, node, None if alone else primary, count=count)
            return replace(said, engine=self.hosts.look(node, asking, probing.PROBE_SECONDS))
        except CommandFailed as error:
            return replace(said, engine=Engine(answers=False, words=_words(error)))
        except HostUnreachable as error:
            return replace(said, shell=Shell(answers=False, words=error.message))

    def _in_doubt(self, said: Statement) -> bool:
        return not said.shell.wrong_key and (
            not said.shell.answers or (said.engine is not None and not said.engine.answers)
        )

    def _ask_others(
        self, manager: BaseManager, node: Instance, said: Statement, peers: Mapping[str, tuple[Peer, ...]]
    ) -> Statement:
        """The port; and where that is silent as SSH is, the replicas and the provider."""
        said = said if said.port is not None else replace(said, port=self._port(manager, node))
        if said.shell.answers or (said.port is not None and said.port.answers):
            return said
        return replace(said, peers=peers.get(node.id, ()), provider=self._provider(node))

    def _port(self, manager: BaseManager, node: Instance) -> Port | None:
        if not manager.port:
            return None
        if is_simulated(node.addr):
            return Port(answers=True)
        words = self.greets(*node.found_at(manager.port), manager.hello, PORT_SECONDS)
        return Port(answers=words == ANSWERS, words=words)

    def _provider(self, node: Instance) -> Provider:
        try:
            status, words = self.server_status(node.id)
        except DtroveError as error:
            return Provider("", error.message)
        return Provider(status, words)

    def _judged(self, said: Statement, all_said: Mapping[str, Statement], watched: Watched) -> Judgement:
        verdict, message, evidence = judge(said, self.limits)
        facts = _facts(said, all_said, watched, self.clock.now().timestamp())
        return Judgement(verdict, message, evidence, facts, said.engine.numbers if said.engine is not None else {})


def _answered(held: Record | None) -> bool:
    """Whether the engine answered when the node was last looked at, as far as is known."""
    return held is None or not (held.suspicion or held.verdict == Verdict.DB_DOWN)


def _testimony_of_replicas(watched: Watched, said: Mapping[str, Statement]) -> dict[str, tuple[Peer, ...]]:
    """Whether each replica that could be asked receives from the primary; by the primary's id, empty without one."""
    primary = watched.primary
    if primary is None:
        return {}
    found = []
    for node_id, one in said.items():
        standing = one.engine.standing if one.engine is not None else None
        if node_id != primary.id and standing is not None:
            found.append(Peer(one.name, standing.streams and standing.follows == primary.addr))
    return {primary.id: tuple(found)}


def _facts(said: Statement, all_said: Mapping[str, Statement], watched: Watched, now: float) -> dict[str, Fact]:
    found: dict[str, Fact] = {"role": "primary" if said.leads else "replica"}
    machine, engine = said.shell.machine, said.engine
    if machine is not None:
        found |= {
            "boot_id": machine.boot_id, "uptime_seconds": machine.uptime, "load": machine.load,
            "memory_free_mb": machine.memory_available // _MB, "memory_mb": machine.memory_total // _MB,
        }  # fmt: skip
        # A simulated host shows no clock.
        found["clock_ahead_seconds"] = round(machine.clock - now, 1) if machine.clock else None
        for place, disk in machine.disks.items():
            found |= _of_disk("disk" if place == "data" else place, disk)
    standing = engine.standing if engine is not None else None
    if standing is not None:
        found |= {"writable": "yes" if standing.writable else "no", "position": standing.position}
        leader = all_said.get(watched.primary.id) if watched.primary else None
        ahead = leader.engine.standing if leader is not None and leader.engine is not None else None
        if not said.leads:
            found["lag_seconds"] = standing.lag_seconds
            found["behind"] = max(0, ahead.received - standing.received) if ahead is not None else None
    return found


def _of_disk(name: str, disk: Disk) -> dict[str, Fact]:
    return {
        f"{name}_free_mb": disk.free // _MB,
        f"{name}_mb": disk.size // _MB,
        f"{name}_free_percent": round(disk.percent, 1),
    }


def _words(error: HostUnreachable | CommandFailed) -> str:
    """The error's sentence, with the last line that the command has left."""
    lines = error.stderr.strip().splitlines() if isinstance(error, CommandFailed) else []
    return f"{error.message}: {lines[-1].strip()[:300]}" if lines else error.message
