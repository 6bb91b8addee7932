"""What the API learns from the bus: the read model follows events, whatever order they come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam, select, update

from services.api.actions import (
    accounts,
    archives,
    backup_news,
    definitions,
    export_news,
    health,
    import_news,
    logins,
    operations,
    parameters,
    progressing,
    proving,
    readings,
    resizing,
    restoring_in_place,
    rolls,
    scaling,
    schedules,
)
from services.api.actions.feed import remember, said_since
from services.api.actions.learning import learn_datastore, learn_flavors, learn_transcript
from services.api.actions.nodes import (
    GONE,
    identity_changed,
    node_ready,
    power_failed,
    server_active,
    server_deleted,
    server_failed,
    server_fenced,
    server_powered,
)
from services.api.changes import Changes
from services.api.store import tables
from shared.contracts import archives as logs
from shared.contracts import backups, exports, imports, provisioner, restores
from shared.contracts import datastore_agentless as databases
from shared.contracts.base import Event, dump
from shared.contracts.operations import OperationBegun, OperationEnded, OperationProgressed
from shared.contracts.scheduler import BackupDue, BackupExpired, ScheduleRemoved, ScheduleSet, VerificationDue
from shared.db import Database, Tx

Apply = Callable[[Tx, Any], None]
# The steps of what goes: see datastore_agentless's leave_node, and the provisioner's delete_instance.
LEAVING = ("release", "dismiss", "mark", "destroy")
QUIET = ("operation.progressed", "transcript.recorded", "flavors.listed", "datastore.registered", "health.seen",
         "parameters.defined", "parameters.seen", "logs.read", "schedule.set", "schedule.removed", "archive.seen")  # fmt: skip


# Asked at nearly every event: they are put together once.
_c, _i, _o = tables.clusters, tables.instances, tables.operations
_CHANGE_CLUSTER = update(_c).where(_c.c.id == bindparam("of_id"), _c.c.status.in_(bindparam("when", expanding=True)))
_PROJECT = select(_c.c.project_id).where(_c.c.id == bindparam("of_id"))
_CLUSTER_LOCKED = _PROJECT.with_for_update()
_OPERATION_STATUS = select(_o.c.status).where(_o.c.id == bindparam("of_id"))
_CLUSTER_GONE = (
    update(_c).where(_c.c.id == bindparam("of_id")).values(status="deleted", endpoint=None, operation_id=None)
)
_NODES_GONE = update(_i).where(_i.c.cluster_id == bindparam("of_cluster")).values(**GONE)


def hear(database: Database, event: Event, changes: Changes | None = None) -> None:
    """Apply one event to the read model, once, and wake those who follow what it speaks of."""
    cluster_id, operation_id = getattr(event, "cluster_id", ""), getattr(event, "operation_id", "")
    project_id = ""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "hear"):
            return
        if event.topic not in QUIET:
            project_id = _lock(tx, cluster_id)
        _APPLY[type(event)](tx, event)
        if project_id:
            remember(tx, event, project_id)
    if changes is not None:
        changes.touch(operation_id, project_id, getattr(event, "reading_id", ""))


def _lock(tx: Tx, cluster_id: str) -> str:
    """The project of a cluster, empty for an unknown one. Its row is locked first, as everybody does."""
    row = tx.connection.execute(_CLUSTER_LOCKED, {"of_id": cluster_id}).first()
    return "" if row is None else str(row.project_id)


def _instance_active(tx: Tx, event: provisioner.InstanceActive) -> None:
    server_active(tx, event)
    _set_cluster(tx, event.cluster_id, ("requested",), status="building")


def _cluster_active(tx: Tx, event: databases.ClusterActive) -> None:
    if _given_up(tx, event.operation_id):
        return
    alive = ("requested", "building", "active", "degraded", "failed")
    place = {} if _has_moved(tx, event) else {"endpoint": dump(event.endpoint), "primary_id": event.primary_id}
    _set_cluster(tx, event.cluster_id, alive, status="active", message="", **place)
    health.settle(tx, event.cluster_id)
    operations.end(tx, event.operation_id, "succeeded")


def _primary_changed(tx: Tx, event: databases.PrimaryChanged) -> None:
    """Clients are led elsewhere, whatever else is the matter with the cluster."""
    c = tables.clusters
    if _has_moved(tx, event):
        return
    values = {"endpoint": dump(event.endpoint), "primary_id": event.primary_id}
    staying = (c.c.id == event.cluster_id, c.c.status.not_in(("deleting", "deleted")))
    tx.connection.execute(update(c).where(*staying).values(**values))


def _has_moved(tx: Tx, event: databases.ClusterActive | databases.NodesRemoved | databases.PrimaryChanged) -> bool:
    """Whether the endpoint has changed since this event said where it is."""
    project_id = tx.connection.execute(_PROJECT, {"of_id": event.cluster_id}).scalar_one_or_none()
    return said_since(tx, str(project_id), ("primary.changed",), ("cluster_id", event.cluster_id), event.occurred_at)


def _cluster_failed(tx: Tx, event: databases.ClusterFailed) -> None:
    if _given_up(tx, event.operation_id):
        return
    _set_cluster(tx, event.cluster_id, ("requested", "building"), status="failed", message=event.problem.message)
    operations.end(tx, event.operation_id, "failed", event.problem)


def _nodes_failed(tx: Tx, event: databases.NodesFailed) -> None:
    """What was to come has not come, or what was to go has not gone; in the end of a cancelled wish only the latter counts."""
    if event.problem.step in LEAVING or not _given_up(tx, event.operation_id):
        operations.end(tx, event.operation_id, "failed", event.problem)


def _nodes_removed(tx: Tx, event: databases.NodesRemoved) -> None:
    i = tables.instances
    tx.connection.execute(update(i).where(i.c.id.in_(event.instance_ids)).values(**GONE))
    health.forget_nodes(tx, event.instance_ids)
    health.settle(tx, event.cluster_id)
    scaling.count_nodes(tx, event.cluster_id)
    if not _has_moved(tx, event):
        _set_cluster(tx, event.cluster_id, ("active", "degraded"), endpoint=dump(event.endpoint))
    operations.end(tx, event.operation_id, "cancelled" if _given_up(tx, event.operation_id) else "succeeded")


def _node_released(tx: Tx, event: databases.NodeReleased) -> None:
    """Nothing to learn: the node is on its way since it was asked for; it goes into the feed."""


def _given_up(tx: Tx, operation_id: str) -> bool:
    """Whether the user has cancelled it: what counts then is that nothing is left, and `cluster.deleted` says so."""
    status = tx.connection.execute(_OPERATION_STATUS, {"of_id": operation_id}).scalar_one_or_none()
    return bool(status == "cancelling")


def _cluster_deleted(tx: Tx, event: databases.ClusterDeleted) -> None:
    tx.connection.execute(_CLUSTER_GONE, {"of_id": event.cluster_id, "deleted_at": tx.database.clock.now()})
    tx.connection.execute(_NODES_GONE, {"of_cluster": event.cluster_id})
    health.forget_cluster(tx, event.cluster_id)
    parameters.forget(tx, event.cluster_id)
    accounts.forget(tx, event.cluster_id)
    backup_news.end_with_cluster(tx, event.cluster_id)
    export_news.end_with_cluster(tx, event.cluster_id)
    import_news.end_with_cluster(tx, event.cluster_id)
    schedules.forget(tx, event.cluster_id)
    operations.end_with_cluster(tx, event.cluster_id)


def _perform_begun(tx: Tx, event: databases.PerformBegun) -> None:
    operations.add(tx, event.operation_id, "perform", event.cluster_id, event.project_id, exclusive=False)


def _perform_completed(tx: Tx, event: databases.PerformCompleted) -> None:
    operations.end(tx, event.operation_id, "succeeded", result={"results": [dump(one) for one in event.results]})


def _perform_failed(tx: Tx, event: databases.PerformFailed) -> None:
    operations.end(tx, event.operation_id, "cancelled" if event.cancelled else "failed", event.problem)


def _operation_begun(tx: Tx, event: OperationBegun) -> None:
    """What DTrove does of itself is shown like what a user has asked for."""
    operations.record(tx, event.operation_id, event.kind, event.cluster_id)


def _operation_ended(tx: Tx, event: OperationEnded) -> None:
    """Its end may overtake its beginning, which then says what it was."""
    c = tables.clusters
    alive = select(c.c.project_id).where(c.c.id == event.cluster_id, c.c.deleted_at.is_(None))
    if project_id := tx.connection.execute(alive).scalar_one_or_none():
        operations.add(tx, event.operation_id, operations.UNNAMED, event.cluster_id, project_id, exclusive=False)
    operations.end(tx, event.operation_id, event.status, event.problem, event.result or None)
    parameters.ended(tx, event)


def _set_cluster(tx: Tx, cluster_id: str, when: tuple[str, ...], **values: Any) -> None:
    tx.connection.execute(_CHANGE_CLUSTER, {"of_id": cluster_id, "when": list(when), **values})


_APPLY: dict[type[Event], Apply] = {
    provisioner.InstanceActive: _instance_active,
    provisioner.InstanceFailed: server_failed,
    provisioner.InstanceDeleted: server_deleted,
    provisioner.InstanceFenced: server_fenced,
    provisioner.InstancePowered: server_powered,
    provisioner.InstancePowerFailed: power_failed,
    provisioner.FlavorsListed: learn_flavors,
    databases.NodeReady: node_ready,
    databases.NodeIdentityChanged: identity_changed,
    databases.ClusterActive: _cluster_active,
    databases.ClusterFailed: _cluster_failed,
    databases.ClusterDeleted: _cluster_deleted,
    databases.ClusterResized: resizing.resized,
    databases.ClusterStopped: rolls.stopped,
    databases.ClusterStarted: rolls.started,
    databases.ClusterRestarted: rolls.restarted,
    databases.PrimaryChanged: _primary_changed,
    databases.NodesFailed: _nodes_failed,
    databases.NodesRemoved: _nodes_removed,
    databases.NodeReleased: _node_released,
    databases.PerformBegun: _perform_begun,
    databases.PerformCompleted: _perform_completed,
    databases.PerformFailed: _perform_failed,
    backups.BackupStarted: backup_news.started,
    backups.BackupCompleted: backup_news.completed,
    backups.BackupFailed: backup_news.failed,
    backups.BackupDeleted: backup_news.deleted,
    backups.BackupDeleteFailed: backup_news.delete_failed,
    backups.BackupVerified: proving.verified,
    backups.BackupVerificationFailed: proving.failed,
    exports.ExportStarted: export_news.started,
    exports.ExportCompleted: export_news.completed,
    exports.ExportFailed: export_news.failed,
    exports.ExportDeleted: export_news.deleted,
    exports.ExportDeleteFailed: export_news.delete_failed,
    imports.ImportStarted: import_news.started,
    imports.ImportCompleted: import_news.completed,
    imports.ImportFailed: import_news.failed,
    restores.ClusterRestored: restoring_in_place.restored,
    restores.ClusterRestoreUndone: restoring_in_place.undone,
    restores.ClusterRestoreConfirmed: restoring_in_place.confirmed,
    logs.ArchiveSeen: archives.learn,
    logs.ArchiveBroken: archives.broken,
    databases.LogsRead: readings.heard,
    databases.AccessGranted: logins.granted,
    databases.AccessRevoked: logins.revoked,
    databases.AccessFailed: logins.failed,
    databases.HealthSeen: health.seen,
    databases.AccountsSeen: accounts.learn,
    databases.ClusterDegraded: health.degraded,
    databases.ClusterRecovered: health.recovered,
    databases.DatastoreRegistered: learn_datastore,
    databases.TranscriptRecorded: learn_transcript,
    databases.ParametersDefined: definitions.learn,
    databases.ParametersSeen: parameters.seen,
    OperationProgressed: progressing.progressed,
    OperationBegun: _operation_begun,
    OperationEnded: _operation_ended,
    BackupDue: backup_news.due,
    BackupExpired: backup_news.expired,
    VerificationDue: proving.due,
    ScheduleSet: schedules.learn,
    ScheduleRemoved: schedules.learn_end,
}
