"""How far operations are, as the services report it, in whatever order the reports come."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select, update

from services.api.actions import operations
from services.api.domain.output import with_piece
from services.api.store import tables
from shared.contracts.operations import OperationProgressed
from shared.contracts.values import Problem
from shared.db import Tx

# A task of this kind that fails tells nobody but by its last report: there is nothing that it could undo.
DELETING = "delete_instance"


# Reports are most of what the API hears; these statements are put together once.
_o, _t = tables.operations, tables.operation_steps
_STATUS = select(_o.c.status).where(_o.c.id == bindparam("operation"))
_BEGUN = update(_o).where(_o.c.id == bindparam("operation"), _o.c.status == "pending").values(status="running")
_KEY = tuple(_t.c[name] == bindparam(f"of_{name}") for name in ("operation_id", "service", "host", "step"))
_KNOWN = select(_t.c.sequence, _t.c.position, _t.c.message).where(*_KEY)
_CHANGE = update(_t).where(*_KEY)


def progressed(tx: Tx, event: OperationProgressed) -> None:
    """Only a newer report overwrites an older one; ended operations still take the reports that came late."""
    if not event.operation_id:
        # Work that no user has asked for, such as the removal of what belongs to nobody.
        return
    status = tx.connection.execute(_STATUS, {"operation": event.operation_id}).scalar_one_or_none()
    if status is None:
        _make_known(tx, event)
    elif status == "pending":
        tx.connection.execute(_BEGUN, {"operation": event.operation_id})
    if event.output:
        _put_output(tx, event)
    _put_step(tx, event)
    if event.kind == DELETING and event.status == "failed":
        _fail_delete(tx, event)


def _put_step(tx: Tx, event: OperationProgressed) -> None:
    key = {"operation_id": event.operation_id, "service": event.service, "host": event.host, "step": event.step}
    of = {f"of_{name}": value for name, value in key.items()}
    known = tx.connection.execute(_KNOWN, of).first()
    values: dict[str, Any] = {
        "sequence": event.sequence, "status": event.status, "percent": event.percent, "stderr": event.stderr,
        "message": event.message or (known.message if known else ""),
        "finished_at": event.occurred_at if event.status in operations.ENDED else None,
    }  # fmt: skip
    first = {"position": event.sequence, "started_at": event.occurred_at}
    if known is None:
        tx.insert_new(_t, **key, **first, **values)
        return
    if event.sequence > known.sequence:
        tx.connection.execute(_CHANGE, of | values)
    if event.sequence < known.position:
        tx.connection.execute(_CHANGE, of | first)


def _make_known(tx: Tx, event: OperationProgressed) -> None:
    """Work that another service began by itself (an operator's RPC, a schedule) becomes an operation here."""
    c = tables.clusters
    owner = tx.connection.execute(select(c.c.project_id).where(c.c.id == event.cluster_id)).first()
    if owner is None:
        return
    operations.add(tx, event.operation_id, event.kind, event.cluster_id, owner.project_id, exclusive=False,
                   status="running")  # fmt: skip


def _fail_delete(tx: Tx, event: OperationProgressed) -> None:
    """What could not be deleted stays where it is, and the user is told so."""
    c = tables.clusters
    problem = Problem(step=event.step, host=event.host, message=event.message, stderr=event.stderr,
                      what_to_do="retry the operation, or delete the cluster again")  # fmt: skip
    tx.connection.execute(
        update(c).where(c.c.id == event.cluster_id, c.c.status == "deleting")
        .values(message=f"{event.host} could not be deleted: {event.message}")
    )  # fmt: skip
    operations.end(tx, event.operation_id, "failed", problem)


def _put_output(tx: Tx, event: OperationProgressed) -> None:
    o = tables.operations
    mine = o.c.id == event.operation_id
    row = tx.connection.execute(select(o.c.output, o.c.output_marks).where(mine).with_for_update()).first()
    if row is not None:
        text, marks = with_piece(row.output or "", row.output_marks or [], event.sequence, event.output)
        tx.connection.execute(update(o).where(mine).values(output=text, output_marks=marks))
