"""What becomes of exports, as datastore_agentless says it, in whatever order and however often."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, update

from services.api.actions import exports, operations
from services.api.domain.backups import BEING_MADE, TRANSITIONS, Status
from services.api.store import tables
from shared.contracts.base import dump
from shared.contracts.exports import ExportCompleted, ExportDeleted, ExportDeleteFailed, ExportFailed, ExportStarted
from shared.db import Tx

_Of = ExportStarted | ExportCompleted | ExportFailed | ExportDeleted | ExportDeleteFailed
_e = tables.exports


def started(tx: Tx, event: ExportStarted) -> None:
    """It is being made."""
    _say(tx, event, Status.RUNNING, store=event.store, started_at=event.occurred_at)


def completed(tx: Tx, event: ExportCompleted) -> None:
    """It is whole."""
    _say(tx, event, Status.COMPLETED, store=event.store, facts=dump(event.facts), finished_at=event.occurred_at,
         counted_bytes=event.facts.stored_bytes)  # fmt: skip
    operations.end(tx, event.operation_id, "succeeded", result={"export": event.export_id})


def failed(tx: Tx, event: ExportFailed) -> None:
    """It could not be made, or was not to be any more."""
    _say(tx, event, Status.FAILED, finished_at=event.occurred_at, problem=dump(event.problem),
         message=event.problem.message, counted_bytes=0)  # fmt: skip
    operations.end(tx, event.operation_id, "cancelled" if event.cancelled else "failed", event.problem)


def deleted(tx: Tx, event: ExportDeleted) -> None:
    """Nothing is kept of it; nothing that is heard later changes that."""
    exports.change(tx, event.export_id, status=Status.DELETED, counted_bytes=0)
    operations.end(tx, event.operation_id, "succeeded")


def delete_failed(tx: Tx, event: ExportDeleteFailed) -> None:
    """It could not be removed: it counts until it is."""
    _say(tx, event, Status.FAILED, problem=dump(event.problem),
         message=f"it could not be deleted: {event.problem.message}")  # fmt: skip
    operations.end(tx, event.operation_id, "failed", event.problem)


def end_with_cluster(tx: Tx, cluster_id: str) -> None:
    """What was being made of a cluster that is gone comes to nothing."""
    open_ones = update(_e).where(_e.c.cluster_id == cluster_id, _e.c.status.in_(BEING_MADE))
    tx.connection.execute(
        open_ones.values(status=Status.FAILED, message="its cluster was deleted meanwhile", counted_bytes=0,
                         finished_at=tx.database.clock.now())
    )  # fmt: skip


def _say(tx: Tx, event: _Of, status: Status, **details: Any) -> None:
    """Learn how it stands, unless something newer was said of it, or it is gone."""
    row = _locked(tx, event.export_id)
    if row is None or row.status == Status.DELETED or (row.said_at is not None and event.occurred_at < row.said_at):
        return
    values: dict[str, Any] = {"said_at": event.occurred_at}
    if status in TRANSITIONS[Status(row.status)]:
        values |= {"problem": None, "message": "", **details, "status": status}
    exports.change(tx, row.id, **values)


def _locked(tx: Tx, export_id: str) -> Row[Any] | None:
    return tx.connection.execute(select(_e).where(_e.c.id == export_id).with_for_update()).first()
