"""What becomes of imports, as datastore_agentless says it, in whatever order and however often."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, update

from services.api.actions import imports, operations
from services.api.domain.imports import TRANSITIONS, UNDER_WAY, Status
from services.api.store import tables
from shared.contracts.base import dump
from shared.contracts.imports import ImportCompleted, ImportFailed, ImportStarted
from shared.db import Tx

_i = tables.imports


def started(tx: Tx, event: ImportStarted) -> None:
    """It has begun."""
    _say(tx, event, Status.RUNNING, started_at=event.occurred_at)


def completed(tx: Tx, event: ImportCompleted) -> None:
    """All of it is there."""
    _say(tx, event, Status.COMPLETED, facts=dump(event.facts), finished_at=event.occurred_at)
    operations.end(tx, event.operation_id, "succeeded", result={"import": event.import_id})


def failed(tx: Tx, event: ImportFailed) -> None:
    """It has come to nothing, or was not to be any more."""
    _say(
        tx,
        event,
        Status.FAILED,
        finished_at=event.occurred_at,
        problem=dump(event.problem),
        message=event.problem.message,
    )
    operations.end(tx, event.operation_id, "cancelled" if event.cancelled else "failed", event.problem)


def end_with_cluster(tx: Tx, cluster_id: str) -> None:
    """What was to come into a cluster that is gone comes to nothing."""
    open_ones = update(_i).where(_i.c.cluster_id == cluster_id, _i.c.status.in_(UNDER_WAY))
    tx.connection.execute(
        open_ones.values(
            status=Status.FAILED, message="its cluster was deleted meanwhile", finished_at=tx.database.clock.now()
        )
    )


def _say(tx: Tx, event: ImportStarted | ImportCompleted | ImportFailed, status: Status, **details: Any) -> None:
    """Learn how it stands, unless something newer was said of it."""
    row = _locked(tx, event.import_id)
    if row is None or (row.said_at is not None and event.occurred_at < row.said_at):
        return
    values: dict[str, Any] = {"said_at": event.occurred_at}
    if status in TRANSITIONS[Status(row.status)]:
        values |= {"problem": None, "message": "", **details, "status": status}
    imports.change(tx, row.id, **values)


def _locked(tx: Tx, import_id: str) -> Row[Any] | None:
    return tx.connection.execute(select(_i).where(_i.c.id == import_id).with_for_update()).first()
