"""What datastore_agentless announces: databases, seen from outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shared.contracts.base import Event, event
from shared.contracts.values import CommandResult, Endpoint, Problem, TranscriptEntry


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
    default_parameters: dict[str, str] = field(default_factory=dict)
    deleted: bool = False


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


@event("backup.completed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class BackupCompleted(Event):
    """A datastore manager's backup ran to its end."""

    backup_id: str
    cluster_id: str
    operation_id: str
    instance_id: str


@event("backup.failed", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class BackupFailed(Event):
    """A backup could not be made."""

    backup_id: str
    cluster_id: str
    operation_id: str
    problem: Problem


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


@event("transcript.recorded", publisher="datastore_agentless", lasting=False)
@dataclass(frozen=True, kw_only=True)
class TranscriptRecorded(Event):
    """Commands that ran on hosts for an operation, redacted."""

    operation_id: str
    cluster_id: str
    entries: tuple[TranscriptEntry, ...]
