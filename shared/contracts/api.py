"""What the API announces: wishes that a user may have."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.base import Event, event
from shared.contracts.values import DatastoreRef, Flavor, InstanceRef, Topology


@event("cluster.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ClusterRequested(Event):
    """A cluster is wanted: the provisioner builds its instances, datastore_agentless expects their nodes."""

    cluster_id: str
    operation_id: str
    project_id: str
    name: str
    size: int
    datastore: DatastoreRef
    flavor: Flavor
    instances: tuple[InstanceRef, ...]
    volume_gb: int | None = None
    topology: Topology | None = None


@event("nodes.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class NodesRequested(Event):
    """More nodes are wanted in a cluster that serves: the provisioner builds them, and they become replicas."""

    cluster_id: str
    operation_id: str
    project_id: str
    datastore: DatastoreRef
    flavor: Flavor
    instances: tuple[InstanceRef, ...]
    topology: Topology
    volume_gb: int | None = None


@event("nodes.remove_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class NodesRemoveRequested(Event):
    """Replicas are to go, or the nodes that an operation which is cancelled was about to add; the cluster serves on."""

    cluster_id: str
    operation_id: str
    project_id: str
    instance_ids: tuple[str, ...]


@event("cluster.delete_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ClusterDeleteRequested(Event):
    """A cluster and all that it holds is to go; whatever else runs for it is cancelled."""

    cluster_id: str
    operation_id: str
    project_id: str
    instance_ids: tuple[str, ...] = ()


@event("operation.cancel_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class OperationCancelRequested(Event):
    """The work under this operation is to stop and be undone."""

    operation_id: str
    cluster_id: str


@event("operation.retry_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class OperationRetryRequested(Event):
    """A failed operation is to go on from the step that failed."""

    operation_id: str
    cluster_id: str


@event("operation.reminded", publisher="api", lasting=False)
@dataclass(frozen=True, kw_only=True)
class OperationReminded(Event):
    """Nobody has said anything of this open operation for a while: say again what you have said of it.

    A broker may lose what it has taken, when a queue is purged or a disk is lost. What was heard before is known by its
    `event_id`, so this is harmless at any time.
    """

    operation_id: str
    cluster_id: str


@event("perform.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class PerformRequested(Event):
    """An administrator wants commands to run on an instance."""

    operation_id: str
    cluster_id: str
    project_id: str
    instance_id: str
    name: str
    commands: tuple[str, ...]


@event("backup.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class BackupRequested(Event):
    """A backup of a cluster is wanted now, by a user or by another system."""

    operation_id: str
    backup_id: str
    cluster_id: str
    project_id: str
    kind: str = "full"


@event("access.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class AccessRequested(Event):
    """An administrator wants to log in to an instance over SSH: `public_key` is to open it for `minutes`."""

    operation_id: str
    cluster_id: str
    project_id: str
    instance_id: str
    public_key: str
    minutes: int


@event("access.revoke_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class AccessRevokeRequested(Event):
    """A login is over: the key that the operation `access` let in is to be shut out."""

    operation_id: str
    cluster_id: str
    project_id: str
    instance_id: str
    access: str
