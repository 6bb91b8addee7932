"""What becomes of backups, as the others say it, in whatever order and however often."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from services.api.actions import backups, final_backups, operations
from services.api.domain.backups import BEING_MADE, TRANSITIONS, Status, was_damaged
from services.api.store import tables
from shared.contracts.backups import BackupCompleted, BackupDeleted, BackupDeleteFailed, BackupFailed, BackupStarted
from shared.contracts.base import dump
from shared.contracts.scheduler import BackupDue, BackupExpired
from shared.db import Tx

_Of = BackupDue | BackupExpired | BackupStarted | BackupCompleted | BackupFailed | BackupDeleted | BackupDeleteFailed
# The cluster of an event may be any: these are put together once.
_b, _c = tables.backups, tables.clusters
_LOCKED = select(_b).where(_b.c.id == bindparam("of_id")).with_for_update()
_CLUSTER = select(_c).where(_c.c.id == bindparam("of_id"))
_END_WITH_CLUSTER = (
    update(_b).where(_b.c.cluster_id == bindparam("of_cluster"), _b.c.status.in_(BEING_MADE))
    .values(status=Status.FAILED, message="its cluster was deleted meanwhile", counted_bytes=0)
)  # fmt: skip


def due(tx: Tx, event: BackupDue) -> None:
    """A schedule's backup is known as soon as its time has come; its work begins elsewhere, at the same word."""
    _record(tx, event)
    row = _known(tx, event)
    if row is not None:
        _fill(tx, row, event.occurred_at, operation_id=event.operation_id, kind=event.kind, store=event.store,
              schedule_id=event.schedule_id)  # fmt: skip
        if row.status in BEING_MADE and not row.counted_bytes:
            backups.change(tx, row.id, counted_bytes=backups.size_of_last(tx.connection, row.cluster_id))


def started(tx: Tx, event: BackupStarted) -> None:
    """It is being made."""
    row = _known(tx, event)
    if row is not None:
        of_it = {"kind": event.kind, "store": event.store, "started_at": event.occurred_at}
        _fill(tx, row, event.occurred_at, operation_id=event.operation_id, schedule_id=event.schedule_id, **of_it)
        _say(tx, row, event, Status.RUNNING, base_id=event.base_id, message=event.message, **of_it)


def completed(tx: Tx, event: BackupCompleted) -> None:
    """It is whole. Its end may overtake the word that it is due."""
    _record(tx, event)
    row = _known(tx, event)
    if row is not None:
        of_it = {"kind": event.kind, "store": event.store, "facts": dump(event.facts),
                 "counted_bytes": event.facts.stored_bytes}  # fmt: skip
        _fill(tx, row, event.occurred_at, operation_id=event.operation_id, schedule_id=event.schedule_id, **of_it)
        # It is said once more of one that was taken for damaged: it was finished when it was.
        ended = row.finished_at if was_damaged(row) else event.occurred_at
        _say(tx, row, event, Status.COMPLETED, base_id=event.base_id, finished_at=ended, damaged_at=None, message=event.message,
             **of_it)  # fmt: skip
    operations.end(tx, event.operation_id, "succeeded", result={"backup": event.backup_id})
    final_backups.made(tx, event.cluster_id, event.backup_id)


def failed(tx: Tx, event: BackupFailed) -> None:
    """It could not be made, or was not to be any more; or it was whole, and cannot be restored any more."""
    if event.damaged:
        _damaged(tx, event)
        return
    _record(tx, event)
    row = _known(tx, event)
    if row is not None:
        _fill(tx, row, event.occurred_at, operation_id=event.operation_id)
        _say(tx, row, event, Status.FAILED, finished_at=event.occurred_at, problem=dump(event.problem),
             message=event.problem.message, counted_bytes=0)  # fmt: skip
    operations.end(tx, event.operation_id, "cancelled" if event.cancelled else "failed", event.problem)
    final_backups.not_made(tx, event.cluster_id, event.backup_id, event.problem.message)


def expired(tx: Tx, event: BackupExpired) -> None:
    """Its schedule has it removed."""
    row = _known(tx, event)
    if row is None:
        return
    _record_deletion(tx, row, event.operation_id)
    # What has become of it may have been heard before.
    if row.deletion_id != event.operation_id and Status.DELETING in TRANSITIONS[Status(row.status)]:
        backups.change(tx, row.id, status=Status.DELETING, deletion_id=event.operation_id, problem=None, message="")


def deleted(tx: Tx, event: BackupDeleted) -> None:
    """Nothing is kept of it; nothing that is heard later changes that."""
    row = _known(tx, event)
    if row is not None:
        _record_deletion(tx, row, event.operation_id)
        backups.change(tx, row.id, status=Status.DELETED, deletion_id=event.operation_id, counted_bytes=0)
    operations.end(tx, event.operation_id, "succeeded")


def delete_failed(tx: Tx, event: BackupDeleteFailed) -> None:
    """It could not be removed: it counts until it is. One that is still needed is as good as before."""
    row = _known(tx, event)
    if row is not None:
        _record_deletion(tx, row, event.operation_id)
    if row is not None and event.kept:
        _keep(tx, row, event)
    elif row is not None:
        _say(tx, row, event, Status.FAILED, deletion_id=event.operation_id, problem=dump(event.problem),
             message=f"it could not be deleted: {event.problem.message}")  # fmt: skip
    operations.end(tx, event.operation_id, "failed", event.problem)


def end_with_cluster(tx: Tx, cluster_id: str) -> None:
    """What was being made of a cluster that is gone comes to nothing."""
    tx.connection.execute(_END_WITH_CLUSTER, {"of_cluster": cluster_id, "finished_at": tx.database.clock.now()})


def _known(tx: Tx, event: _Of) -> Row[Any] | None:
    """The backup that an event speaks of, locked, written down now where it was not; None for an unknown cluster's."""
    mine = {"of_id": event.backup_id}
    row = tx.connection.execute(_LOCKED, mine).first()
    if row is not None:
        return row
    cluster = tx.connection.execute(_CLUSTER, {"of_id": event.cluster_id}).first()
    if cluster is None:
        return None
    backups.put(tx, cluster, id=event.backup_id, created_at=event.occurred_at)
    return tx.connection.execute(_LOCKED, mine).one()


def _fill(tx: Tx, row: Row[Any], said_at: datetime, **details: Any) -> None:
    """Learn what was not known yet, which is true whenever it was said."""
    if row.status == Status.DELETED:
        return
    learnt = {name: value for name, value in details.items() if value and not getattr(row, name)}
    if said_at < row.created_at:
        learnt["created_at"] = said_at
    if learnt:
        backups.change(tx, row.id, **learnt)


def _say(tx: Tx, row: Row[Any], event: _Of, status: Status, **details: Any) -> None:
    """Learn how it stands, unless something newer was said of it."""
    if row.status == Status.DELETED or (row.said_at is not None and event.occurred_at < row.said_at):
        return
    values: dict[str, Any] = {"said_at": event.occurred_at}
    if status in TRANSITIONS[Status(row.status)]:
        values |= {"problem": None, "message": "", **details, "status": status}
    else:
        values |= {name: value for name, value in details.items() if name not in ("problem", "message")}
    backups.change(tx, row.id, **values)


def _keep(tx: Tx, row: Row[Any], event: BackupDeleteFailed) -> None:
    """It is as it was before that operation, of which nobody hears for the first time after this."""
    words = {"status": Status.COMPLETED, "message": f"it was not deleted: {event.problem.message}"}
    going = row.status == Status.DELETING and row.deletion_id == event.operation_id
    if row.status != Status.DELETED:
        backups.change(tx, row.id, deletion_id=event.operation_id, **(words if going else {}))


def _damaged(tx: Tx, event: BackupFailed) -> None:
    """What its store has of it is there until it is deleted, and counts. The operation that has made it came to its end."""
    row = _known(tx, event)
    if row is not None:
        _say(tx, row, event, Status.FAILED, damaged_at=event.occurred_at, problem=dump(event.problem),
             message=f"it cannot be restored any more: {event.problem.message}")  # fmt: skip


def _record(tx: Tx, event: BackupDue | BackupCompleted | BackupFailed) -> None:
    operations.record(tx, event.operation_id, operations.BACKUP, event.cluster_id)


def _record_deletion(tx: Tx, row: Row[Any], operation_id: str) -> None:
    """What removes it is an operation, whoever has asked for it, and whether its cluster is there or not."""
    wanted = (operation_id, operations.DELETE_BACKUP, row.cluster_id, row.project_id)
    if not operations.add(tx, *wanted, exclusive=False):
        operations.rename(tx, operation_id, operations.DELETE_BACKUP)
