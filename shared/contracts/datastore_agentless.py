"""What datastore_agentless announces: databases, seen from outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.contracts.accounts import Accounts
from shared.contracts.base import Event, event
from shared.contracts.parameters import NodeParameters, ParameterDefinition
from shared.contracts.values import CommandResult, Endpoint, Flavor, NodeHealth, Problem, TranscriptEntry


@event("datastore.registered", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class DatastoreRegistered(Event):
    """A datastore version can be chosen (or, with `deleted`, no longer)."""

    id: str
    manager: str
    version: str
    image: str
    packages: tuple[str, ...]
    name: str
    min_ram_mb: int = 0
    port: int = 0
    modes: tuple[str, ...] = ()
    dialect: str = ""
    default_parameters: dict[str, str] = field(default_factory=dict)
    deleted: bool = False
    full_only: str = ""


@event("parameters.defined", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ParametersDefined(Event):
    """What parameters a version of a datastore has, as a running engine of it says; `engine` is that one's own version."""

    datastore_id: str
    engine: str
    definitions: tuple[ParameterDefinition, ...]


@event("parameters.seen", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ParametersSeen(Event):
    """With what parameters nodes of a cluster run by now, of those that were ever set."""

    cluster_id: str
    nodes: tuple[NodeParameters, ...]


@event("node.ready", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class NodeReady(Event):
    """The database on an instance is installed, configured, started and answers."""

    instance_id: str
    cluster_id: str
    operation_id: str


@event("node.identity_changed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class NodeIdentityChanged(Event):
    """A host showed another key than the pinned one; nothing is sent to it until an operator has looked."""

    instance_id: str
    cluster_id: str
    addr: str
    expected: str
    seen: str


@event("cluster.active", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterActive(Event):
    """A cluster serves at `endpoint`, with all the nodes that the operation was to make."""

    cluster_id: str
    operation_id: str
    endpoint: Endpoint
    primary_id: str = ""


@event("cluster.failed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterFailed(Event):
    """A cluster could not be made; what exists is kept for a look or a retry until it is deleted."""

    cluster_id: str
    operation_id: str
    problem: Problem


@event("cluster.stopped", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterStopped(Event):
    """A user's wish has come about: no database of a cluster runs, and none is started before a user wishes so."""

    cluster_id: str
    operation_id: str
    result: dict[str, Any] = field(default_factory=dict)


@event("cluster.started", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterStarted(Event):
    """A cluster that was stopped serves again where it did before. `problem`: what one of its replicas lacks, if one does."""

    cluster_id: str
    operation_id: str
    problem: Problem | None = None
    result: dict[str, Any] = field(default_factory=dict)


@event("cluster.restarted", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterRestarted(Event):
    """The databases of a cluster were restarted, all or the one that was named; `result` says since when each lives."""

    cluster_id: str
    operation_id: str
    result: dict[str, Any] = field(default_factory=dict)


@event("node.resize_requested", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class NodeResizeRequested(Event):
    """Either the volume of a server is to be `volume_gb` large, while it is in use: what the provider has not mounted itself is
    grown over SSH afterwards. Or the server is to be one of `flavor`: its engine is stopped.
    """

    instance_id: str
    cluster_id: str
    operation_id: str
    project_id: str
    volume_gb: int = 0
    flavor: Flavor | None = None


@event("cluster.resized", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterResized(Event):
    """Each node of a cluster has a volume of `volume_gb`, whose file system fills it, and is a server of `flavor`; 0 and null: as
    before. `result` says how each node is.
    """

    cluster_id: str
    operation_id: str
    volume_gb: int = 0
    flavor: Flavor | None = None
    result: dict[str, Any] = field(default_factory=dict)


@event("nodes.failed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class NodesFailed(Event):
    """Nodes could not be added to a cluster, or not be removed from it; it serves as before."""

    cluster_id: str
    operation_id: str
    problem: Problem


@event("node.released", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class NodeReleased(Event):
    """Its cluster does without this node: the server may go. `project_id` is the cluster's."""

    instance_id: str
    cluster_id: str
    operation_id: str
    project_id: str


@event("nodes.removed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class NodesRemoved(Event):
    """The nodes that an operation was to remove are gone, and nothing is kept for them; the cluster serves at `endpoint`."""

    cluster_id: str
    operation_id: str
    instance_ids: tuple[str, ...]
    endpoint: Endpoint


@event("primary.changed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class PrimaryChanged(Event):
    """Another node takes writes from now on; clients find it at `endpoint`. `former_id` was the primary before."""

    cluster_id: str
    operation_id: str
    primary_id: str
    former_id: str
    endpoint: Endpoint


@event("node.fence_requested", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class NodeFenceRequested(Event):
    """A server is to be switched off at once, so that nothing on it can write any more. `project_id` is the cluster's."""

    instance_id: str
    cluster_id: str
    operation_id: str
    project_id: str


@event("node.power_requested", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class NodePowerRequested(Event):
    """A server that was switched off is to run again: its database is not started by that."""

    instance_id: str
    cluster_id: str
    operation_id: str
    project_id: str


@event("address.move_requested", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class AddressMoveRequested(Event):
    """A cluster's own address is to lead to this instance from now on: it is the primary. `project_id` is the cluster's."""

    cluster_id: str
    instance_id: str
    operation_id: str
    project_id: str


@event("cluster.degraded", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterDegraded(Event):
    """Something is wrong with a cluster that served: `verdict` names the cause, of the node that it is worst with."""

    cluster_id: str
    instance_id: str
    verdict: str
    message: str


@event("cluster.recovered", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterRecovered(Event):
    """All nodes of a cluster are well again."""

    cluster_id: str


@event("health.seen", publisher="datastore_agentless", lasting=False)
@dataclass(frozen=True, kw_only=True)
class HealthSeen(Event):
    """How nodes were when they were looked at last; nodes of several clusters may come together."""

    nodes: tuple[NodeHealth, ...]


@event("accounts.seen", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class AccountsSeen(Event):
    """What databases and users a cluster's server lists; with that `operation_id` has come to its good end, where one is named."""

    cluster_id: str
    operation_id: str
    accounts: Accounts
    seen_at: datetime


@event("cluster.deleted", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ClusterDeleted(Event):
    """Nothing of the cluster is left: no server, no key, no credential."""

    cluster_id: str
    operation_id: str


@event("perform.begun", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class PerformBegun(Event):
    """Commands run on an instance that were asked for over RPC, not over the API: which records the operation now."""

    operation_id: str
    cluster_id: str
    project_id: str
    instance_id: str
    name: str
    commands: tuple[str, ...]


@event("perform.completed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class PerformCompleted(Event):
    """The commands of a `perform` ran, whatever their exit codes."""

    operation_id: str
    cluster_id: str
    instance_id: str
    name: str
    results: tuple[CommandResult, ...]


@event("perform.failed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class PerformFailed(Event):
    """The commands of a `perform` could not be run, or were cancelled."""

    operation_id: str
    cluster_id: str
    instance_id: str
    name: str
    problem: Problem
    cancelled: bool = False


@event("access.granted", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class AccessGranted(Event):
    """An instance lets in the key that came with the wish; it shows one of `host_keys`. `jump` is a host to go through."""

    operation_id: str
    cluster_id: str
    instance_id: str
    host: str
    port: int
    user: str
    host_keys: tuple[str, ...]
    expires_at: datetime
    jump: str = ""


@event("access.revoked", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class AccessRevoked(Event):
    """The key that the operation `access` let in opens an instance no longer."""

    operation_id: str
    cluster_id: str
    instance_id: str
    access: str


@event("access.failed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class AccessFailed(Event):
    """An instance could not be opened, or not shut again, for a login; or that was cancelled."""

    operation_id: str
    cluster_id: str
    instance_id: str
    problem: Problem
    cancelled: bool = False


@event("logs.read", publisher="datastore_agentless", lasting=False)
@dataclass(frozen=True, kw_only=True)
class LogsRead(Event):
    """Lines of an instance's log for one who reads it, with known secrets masked. The `last` one may say why it is the last."""

    reading_id: str
    cluster_id: str
    instance_id: str
    sequence: int
    text: str = ""
    notes: tuple[str, ...] = ()
    place: str = ""
    last: bool = False
    problem: Problem | None = None


@event("transcript.recorded", publisher="datastore_agentless", lasting=False)
@dataclass(frozen=True, kw_only=True)
class TranscriptRecorded(Event):
    """Commands that ran on hosts for an operation, redacted."""

    operation_id: str
    cluster_id: str
    entries: tuple[TranscriptEntry, ...]
