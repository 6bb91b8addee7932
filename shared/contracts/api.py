"""What the API announces: wishes that a user may have."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.contracts.accounts import AccountChange
from shared.contracts.backups import ProofWish
from shared.contracts.base import Event, event
from shared.contracts.schedules import Terms
from shared.contracts.values import DatastoreRef, Flavor, InstanceRef, RestoreRef, Topology


@event("cluster.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ClusterRequested(Event):
    """A cluster is wanted: the provisioner builds its instances, datastore_agentless expects their nodes.

    One that has a `proof` is no user's: it begins with a backup, and is answered with what that has proved.
    """

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
    parameters: dict[str, str] = field(default_factory=dict)
    accounts: tuple[AccountChange, ...] = ()
    restore: RestoreRef | None = None
    proof: ProofWish | None = None


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


@event("switchover.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class SwitchoverRequested(Event):
    """Another node is to become the primary while the present one is well: `instance_id`, or for empty the one that is furthest."""

    cluster_id: str
    operation_id: str
    project_id: str
    instance_id: str = ""


@event("failover.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class FailoverRequested(Event):
    """A user holds the primary for dead: another node is to take its place, once that is proven and the old one is off.

    With `accept_loss` also where writes that were acknowledged may be lost, for want of a node that has them.
    """

    cluster_id: str
    operation_id: str
    project_id: str
    instance_id: str = ""
    accept_loss: bool = False


@event("failover.chosen", publisher="api")
@dataclass(frozen=True, kw_only=True)
class FailoverChosen(Event):
    """A user has chosen for a cluster who decides over failovers; of several such words the latest counts."""

    cluster_id: str
    project_id: str
    failover: str


@event("cluster.start_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ClusterStartRequested(Event):
    """A cluster that is stopped is to serve again: its primary is started first, then the replicas, one after the other."""

    cluster_id: str
    operation_id: str
    project_id: str


@event("cluster.stop_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ClusterStopRequested(Event):
    """A cluster is to serve nobody until it is started; its servers run on."""

    cluster_id: str
    operation_id: str
    project_id: str


@event("cluster.restart_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ClusterRestartRequested(Event):
    """Each database of a cluster is to be restarted, one after the other, or only that of `instance_id`."""

    cluster_id: str
    operation_id: str
    project_id: str
    instance_id: str = ""


@event("cluster.resize_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ClusterResizeRequested(Event):
    """The nodes of a cluster that serves are to have larger volumes, or be servers of another flavor, one after the other.

    `volume_gb` 0 and `flavor` null are as it has them. `former` is the id of the flavor that its nodes have had so far.
    """

    cluster_id: str
    operation_id: str
    project_id: str
    volume_gb: int = 0
    flavor: Flavor | None = None
    former: str = ""


@event("accounts.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class AccountsRequested(Event):
    """Databases and users of a cluster are to be changed in this order; without changes only listed anew."""

    cluster_id: str
    operation_id: str
    project_id: str
    changes: tuple[AccountChange, ...] = ()


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


@event("logs.requested", publisher="api", lasting=False)
@dataclass(frozen=True, kw_only=True)
class LogsRequested(Event):
    """Somebody wants the last lines of an instance's log, and with `follow` what comes after; again and again while he does.

    What is not asked for again within `seconds` ends. `after` is a place that was told before: the lines after it are wanted.
    """

    reading_id: str
    cluster_id: str
    project_id: str
    instance_id: str
    lines: int
    follow: bool
    seconds: float
    after: str = ""
    goes_on: bool = False


@event("backup.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class BackupRequested(Event):
    """A backup of a cluster is wanted now, by a user or by another system. An empty `store`: where backups usually go."""

    operation_id: str
    backup_id: str
    cluster_id: str
    project_id: str
    kind: str = "full"
    store: str = ""


@event("backup.delete_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class BackupDeleteRequested(Event):
    """A user wants a backup gone."""

    operation_id: str
    backup_id: str
    cluster_id: str
    project_id: str


@event("export.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ExportRequested(Event):
    """A user wants data of a cluster in a form that other tools read. No `databases`: all; no `tables`: all of these.

    An empty `store`: where backups usually go.
    """

    operation_id: str
    export_id: str
    cluster_id: str
    project_id: str
    format: str
    databases: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    encrypted: bool = True
    store: str = ""


@event("export.delete_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ExportDeleteRequested(Event):
    """A user wants an export gone."""

    operation_id: str
    export_id: str
    cluster_id: str
    project_id: str


@event("import.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ImportRequested(Event):
    """A user wants what an export has in a cluster that serves."""

    operation_id: str
    import_id: str
    cluster_id: str
    project_id: str
    export_id: str


@event("schedule.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ScheduleRequested(Event):
    """A schedule is to be made, or to be so from now on; of several such words of one schedule the highest version counts."""

    schedule_id: str
    cluster_id: str
    project_id: str
    version: int
    terms: Terms


@event("schedule.remove_requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ScheduleRemoveRequested(Event):
    """A schedule is to go; what it has made stays for as long as it said."""

    schedule_id: str
    cluster_id: str
    project_id: str
    version: int


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


@event("parameters.requested", publisher="api")
@dataclass(frozen=True, kw_only=True)
class ParametersRequested(Event):
    """A cluster's databases are to run with `values`, and with nothing else that a user has chosen; `version` is their number.

    With `restart_now` node by node also what is read only when an engine starts. `author` is who wants it.
    """

    cluster_id: str
    operation_id: str
    project_id: str
    version: int
    values: dict[str, str]
    restart_now: bool = False
    author: str = ""
