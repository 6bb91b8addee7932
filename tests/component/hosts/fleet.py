"""PostgreSQL on hosts in memory that change places: what a host is told is kept in a table, and what it says follows from that.

The scripts are the real ones of the manager; a host knows their commands by their titles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from services.datastore_agentless import actions
from services.datastore_agentless.backup_stores.stores import Stores
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.takeover import Takeover
from services.datastore_agentless.hosts.base import HostUnreachable, Job, Put, Result, Run, Target
from services.datastore_agentless.hosts.driver import Driver
from services.datastore_agentless.hosts.simulated import SimulatedHosts, SimulatedRunner
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.store import clusters, takeovers
from services.datastore_agentless.workflows.backup_node import BackupNode
from services.datastore_agentless.workflows.change_accounts import ChangeAccounts
from services.datastore_agentless.workflows.delete_backup import DeleteBackup
from services.datastore_agentless.workflows.delete_export import DeleteExport
from services.datastore_agentless.workflows.fail_over import FailOver
from services.datastore_agentless.workflows.grow_cluster import GrowCluster
from services.datastore_agentless.workflows.hand_over import HandOver
from services.datastore_agentless.workflows.join_node import JoinNode
from services.datastore_agentless.workflows.keeping import Keeping
from services.datastore_agentless.workflows.leave_node import LeaveNode
from services.datastore_agentless.workflows.load_import import LoadImport
from services.datastore_agentless.workflows.on_host import Hosts, ManagerFor
from services.datastore_agentless.workflows.prepare_node import PrepareNode
from services.datastore_agentless.workflows.prove_backup import ProveBackup
from services.datastore_agentless.workflows.resize_node import ResizeNode
from services.datastore_agentless.workflows.restore_in_place import RestoreInPlace
from services.datastore_agentless.workflows.roll import RollNodes
from services.datastore_agentless.workflows.send_backup import SendBackup
from services.datastore_agentless.workflows.send_export import SendExport
from services.datastore_agentless.workflows.start_node import StartNode
from services.datastore_agentless.workflows.take_over import TakeOver
from services.datastore_agentless.workflows.undo_restore import UndoRestore
from shared.contracts.api import (
    FailoverRequested,
    OperationCancelRequested,
    OperationRetryRequested,
    SwitchoverRequested,
)
from shared.contracts.provisioner import (
    AddressMoved,
    AddressMoveFailed,
    InstanceFenced,
    InstancePowered,
    InstancePowerFailed,
)
from shared.contracts.values import Problem
from shared.db import Database
from shared.engine import StepEngine
from tests.component.hosts.wishes import admin_user, manager_for, said, up, wish
from tests.support.held import HeldClock
from tests.support.keeping import MemoryStore, MemoryStores, exported, sent
from tests.support.places import BROUGHT, Places

FROZEN = "have it only read from its next start"
OWN = "10.9.0.250"
STUCK = Problem(step="move_address", message="the address was not moved: no answer", what_to_do="see to the bridge")
LOST = Problem(step="see_off", message="the server is not fenced: the provider says ACTIVE", what_to_do="switch it off")


@dataclass
class Node:
    """One host and its database. `standby`: it only reads; `parted`: its data are to be replaced.

    `boots`: whether it is started with its host. `starts`: whether the engine can be started; `began`: how often it was.
    `stuck`: it receives nothing new. `deaf`: the address that it hears nothing from.
    `ran` are the scripts of its jobs.
    """

    reachable: bool = True
    runs: bool = True
    starts: bool = True
    began: int = 0
    boots: bool = True
    standby: bool = False
    parted: bool = False
    stuck: bool = False
    deaf: str = ""
    follows: str = ""
    received: int = 1000
    told: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    places: Places = field(default_factory=Places)

    @property
    def writes(self) -> bool:
        """Whether a client could write there."""
        return self.reachable and self.runs and not self.standby


@dataclass
class Fleet:
    """All nodes by address. `meanwhile` is called once, before a host does what has this title; `says` is what it answers then."""

    nodes: dict[str, Node] = field(default_factory=dict)
    says: dict[str, str] = field(default_factory=dict)
    meanwhile: dict[str, Callable[[], object]] = field(default_factory=dict)

    def at(self, addr: str) -> Node:
        """The node at an address."""
        return self.nodes.setdefault(addr, Node())

    def __getitem__(self, name: str) -> Node:
        return self.at(f"sim-{name}.invalid")

    @property
    def writers(self) -> list[str]:
        """Who could be written to."""
        return [addr.removeprefix("sim-").removesuffix(".invalid") for addr, node in self.nodes.items() if node.writes]

    def streams(self, node: Node) -> bool:
        """Whether it receives from whom it follows at this moment."""
        source = self.nodes.get(node.follows)
        return bool(node.standby and source and source.runs and source.reachable and node.deaf != node.follows)

    def standing(self, node: Node) -> str:
        """What its database says of itself; see datastores.pgsql.takeover."""
        if self.streams(node) and not node.stuck:
            node.received = self.nodes[node.follows].received
        words = ("t" if node.standby else "f", str(node.received), f"0/{node.received}", node.follows,
                 "t" if self.streams(node) else "f", "0" if self.streams(node) else "")  # fmt: skip
        return "|".join(words) + "\n"


@dataclass(kw_only=True)
class FleetRunner(SimulatedRunner):
    """Runs scripts on a host of the fleet."""

    fleet: Fleet

    def run(self, command: Run) -> Result:
        node = self._node(command.title)
        if command.user == "postgres" and not node.runs:
            return Result(code=2, stderr="psql: connection refused")
        if command.title == "start postgresql":
            node.began += node.starts and not node.runs
            node.places.served += [node.places.serve] if node.starts and not node.runs else []
            node.runs = node.starts
            return Result(code=0 if node.starts else 1, stderr="" if node.starts else "could not read pg_control")
        self._change(node, command.title)
        said = node.places.answer(command, node.runs)
        said = self._answer(node, command.title) if said is None else said
        return super().run(command) if said is None else Result(stdout=said)

    def put(self, command: Put) -> Result:
        node = self._node(command.title)
        if command.title == "write whom to follow":
            node.follows = str(command.content).partition("host=")[2].partition(" ")[0]
        if command.title == "write that it follows nobody":
            node.follows = ""
        if command.path.endswith("start.conf"):
            node.boots = command.content == "auto\n"
        return super().put(command)

    def follow(self, command: Job) -> Result:
        node = self._node(command.title)
        node.ran.append(command.script)
        if command.name.startswith("copy-from-"):
            node.standby, node.parted, node.stuck = True, False, False
        if command.name.startswith("receive-"):
            node.places.beside["restored"] = BROUGHT
        done = super().follow(command)
        if command.title in self.fleet.says:
            return Result(stdout=self.fleet.says[command.title])
        if command.name.startswith("export-"):
            return Result(stdout=exported())
        return Result(stdout=sent()) if command.name.startswith("send-") else done

    def _change(self, node: Node, title: str) -> None:
        if title == FROZEN:
            node.standby = True
        elif title == "take writes":
            node.standby = False
        elif title == "mark its data as no copy":
            node.standby = node.parted = True
        elif title == "stop postgresql":
            node.runs = False

    def _answer(self, node: Node, title: str) -> str | None:
        if title in self.fleet.says:
            return self.fleet.says[title]
        if title in ("see where it stands", "see where it was frozen"):
            return self.fleet.standing(node)
        if title == "see since when the engine lives":
            return f"boot {node.began}\n" if node.runs else ""
        if title == "see whether pgsql runs":
            return "yes\n" if node.runs else "no\n"
        if title == "see whether it only reads":
            return "t\n" if node.standby else "f\n"
        if title == "see whether it is a standby":
            return "yes\n" if node.standby and not node.parted else "no\n"
        if title == "see whether it follows":
            return f"streaming from {node.follows}\n" if self.fleet.streams(node) else "it receives nothing\n"
        return None

    def _node(self, title: str) -> Node:
        happens = self.fleet.meanwhile.pop(title, None)
        if happens is not None:
            happens()
        node = self.fleet.at(self.target.addr)
        if not node.reachable:
            raise HostUnreachable(f"{self.target.name} does not answer over SSH")
        node.told.append(title)
        return node


@dataclass(frozen=True)
class FleetHosts(Hosts):
    """Hosts of which every one is of the fleet."""

    fleet: Fleet = field(default_factory=Fleet)

    def _driver(self, target: Target, **options: Any) -> Driver:
        return FleetRunner(hosts=self.simulated, fleet=self.fleet, target=target, **options)


def workflows(hosts: Hosts, stores: Stores) -> StepEngine:
    """An engine with what makes nodes, has them change places, brings them back, and keeps their data."""
    joining, leaving, keeping = JoinNode(hosts), LeaveNode(hosts), Keeping(hosts, stores)
    flows = (
        PrepareNode(hosts, stores).workflow(), joining.workflow(), joining.again(), leaving.leave(), leaving.dismiss(),
        HandOver(hosts).workflow(), FailOver(hosts).workflow(), TakeOver(hosts).workflow(), StartNode(hosts).workflow(),
        *RollNodes(hosts).workflows(), GrowCluster(hosts).workflow(), ResizeNode(hosts).workflow(),
        SendBackup(keeping).workflow(), BackupNode(hosts).workflow(), DeleteBackup(keeping).workflow(),
        ChangeAccounts(hosts).workflow(), ProveBackup(keeping).workflow(),
        SendExport(keeping).workflow(), DeleteExport(keeping).workflow(), LoadImport(keeping).workflow(),
        RestoreInPlace(keeping).workflow(), UndoRestore(keeping).undo(), UndoRestore(keeping).drop(),
    )  # fmt: skip
    return StepEngine(hosts.database, {flow.name: flow for flow in flows})


@dataclass
class Stage:
    """A cluster called `c` of nodes `c-0`, `c-1` and so on, of which the first is the primary, and what is asked of it."""

    database: Database
    clock: HeldClock = field(default_factory=HeldClock)
    fleet: Fleet = field(default_factory=Fleet)
    store: MemoryStore = field(default_factory=MemoryStore)
    manager_for: ManagerFor = manager_for

    def __post_init__(self) -> None:
        self.database.clock = self.clock
        quick = SimulatedHosts(latency=0.0)
        self.stores = MemoryStores(self.store)
        self.hosts = FleetHosts(self.database, SshPool(), self.manager_for, simulated=quick, fleet=self.fleet)
        self.engine = workflows(self.hosts, self.stores)

    def serve(self, nodes: int = 3, mode: str = "async", addr: str = "") -> Stage:
        """Make the cluster; `addr` is its own address, which leads nowhere yet."""
        actions.expect_cluster(self.database, wish(nodes=nodes, mode=mode), admin_user)
        actions.issue_key(self.database, "c")
        for number in range(nodes):
            actions.prepare_node(self.database, up(f"c-{number}", cluster_addr=addr))
        self.settle()
        assert self.fleet.writers == ["c-0"]
        return self

    # What is asked

    def switch_over(self, operation: str = "move", to: str = "") -> SwitchoverRequested:
        """Ask for a switchover."""
        event = SwitchoverRequested(cluster_id="c", operation_id=operation, project_id="p", instance_id=to)
        assert actions.request_switchover(self.database, event)
        return event

    def fail_over(self, operation: str = "move", to: str = "", *, accept_loss: bool = False) -> FailoverRequested:
        """Ask for a failover."""
        event = FailoverRequested(cluster_id="c", operation_id=operation, project_id="p", instance_id=to,
                                  accept_loss=accept_loss)  # fmt: skip
        assert actions.request_failover(self.database, event)
        return event

    def fenced(self, operation: str = "move", node: str = "c-0") -> InstanceFenced:
        """The provider says that a server is off."""
        self.fleet[node].reachable = self.fleet[node].runs = False
        event = InstanceFenced(instance_id=node, cluster_id="c", operation_id=operation, server_status="SHUTOFF")
        actions.take_over(self.database, event)
        return event

    def powered(self, operation: str, node: str = "c-0") -> InstancePowered:
        """The provider says that it runs again; its database is not started with it."""
        self.fleet[node].reachable = True
        event = InstancePowered(instance_id=node, cluster_id="c", operation_id=operation, addr=f"sim-{node}.invalid")
        actions.take_back(self.database, event)
        return event

    def power_failed(self, operation: str = "move", node: str = "c-0", wanted: str = "off") -> None:
        """The provider could not switch it."""
        actions.power_failed(
            self.database,
            InstancePowerFailed(instance_id=node, cluster_id="c", operation_id=operation, wanted=wanted, problem=LOST),
        )

    def moved(self, operation: str = "move", node: str = "c-0", addr: str = OWN) -> AddressMoved:
        """The provider says that the cluster's own address leads to a node."""
        event = AddressMoved(instance_id=node, cluster_id="c", operation_id=operation, addr=addr, seconds=0.2)
        actions.address_moved(self.database, event, manager_for)
        return event

    def move_failed(self, operation: str = "move", node: str = "c-0") -> None:
        """The provider could not have it lead there."""
        actions.address_move_failed(
            self.database, AddressMoveFailed(instance_id=node, cluster_id="c", operation_id=operation, problem=STUCK)
        )

    def cancel(self, operation: str = "move") -> None:
        """The user wants it to stop."""
        actions.cancel_operation(self.database, OperationCancelRequested(operation_id=operation, cluster_id="c"))

    def retry(self, operation: str = "move") -> None:
        """The user wants it to go on."""
        actions.retry_operation(self.database, OperationRetryRequested(operation_id=operation, cluster_id="c"))

    # What comes of it

    def settle(self, seconds: float = 2 * 24 * 3600) -> None:
        """Let the engine work until time brings nothing more, for at most so many seconds of it."""
        until = self.clock.monotonic() + seconds
        while (pause := self.engine.run_due()) is not None:
            if self.clock.monotonic() + pause > until:
                return
            self.clock.advance(pause)

    def said(self, topic: str, operation: str = "") -> list[dict[str, Any]]:
        """What was announced under a topic, of an operation where one is named."""
        return [one for one in said(self.database, topic) if operation in ("", one["operation_id"])]

    def ended(self, operation: str = "move") -> dict[str, Any]:
        """The only end of an operation."""
        (event,) = self.said("operation.ended", operation)
        return event

    def steps(self, operation: str = "move", status: str = "succeeded") -> list[str]:
        """Which steps of an operation came to this, in order."""
        return [one["step"] for one in self.said("operation.progressed", operation) if one["status"] == status]

    def statuses(self) -> dict[str, str]:
        """Of each node."""
        with self.database.read() as connection:
            return {one.id: str(one.status) for one in clusters.instances(connection, "c")}

    def instance(self, name: str) -> Instance:
        """A node as it is stored."""
        with self.database.read() as connection:
            return clusters.instance(connection, name)

    def cluster(self) -> Cluster:
        """The cluster as it is stored."""
        with self.database.read() as connection:
            return clusters.cluster(connection, "c")

    def takeover(self, operation: str = "move") -> Takeover:
        """A takeover as it is stored."""
        with self.database.read() as connection:
            return takeovers.get(connection, operation)

    def under_way(self) -> bool:
        """Whether the cluster is in the middle of a takeover."""
        with self.database.read() as connection:
            return takeovers.under_way(connection, "c") is not None


def kinds(events: Iterable[dict[str, Any]]) -> list[str]:
    """Of operations that DTrove began by itself."""
    return [one["kind"] for one in events]
