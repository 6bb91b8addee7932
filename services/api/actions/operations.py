"""Operations as rows: begun, looked up, ended. One that changes a cluster is alone on it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, case, select, update
from sqlalchemy.exc import IntegrityError

from services.api.domain.progress import first_weights
from services.api.store import tables
from shared.contracts.base import dump, new_id
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Conflict, NotFound

RUNNING = ("pending", "running", "cancelling")
ENDED = ("succeeded", "failed", "cancelled")
# The kind of an operation of which nothing was heard yet but its end.
UNNAMED = "unnamed"
BUSY = "another operation is under way on this cluster"
# An operation learns from the last one of its kind, on a cluster of the same size and datastore, how long each step takes.
_LEAST_SECONDS, _LAST_ONES = 0.05, 50


def start_operation(tx: Tx, kind: str, cluster_id: str, project_id: str, *, exclusive: bool = True) -> str:
    """A new operation. Raises Conflict where another exclusive one is under way: a unique index sees to that."""
    operation_id = new_id()
    if not add(tx, operation_id, kind, cluster_id, project_id, exclusive=exclusive):
        raise Conflict(BUSY, what_to_do="wait for it, or cancel it")
    if exclusive:
        c = tables.clusters
        tx.connection.execute(update(c).where(c.c.id == cluster_id).values(operation_id=operation_id))
    return operation_id


def add(tx: Tx, operation_id: str, kind: str, cluster_id: str, project_id: str, *, exclusive: bool,
        status: str = "pending") -> bool:  # fmt: skip
    """Write an operation's row; false where it is there already, or is to be alone and is not."""
    return tx.insert_new(
        tables.operations,
        id=operation_id, kind=kind, cluster_id=cluster_id, project_id=project_id, status=status, output="",
        exclusive=exclusive, weights=_weights(tx.connection, kind, cluster_id), created_at=tx.database.clock.now(),
    )  # fmt: skip


def operation(connection: Connection, project_id: str, operation_id: str) -> Row[Any]:
    """An operation of this project. Raises NotFound."""
    t = tables.operations
    row = connection.execute(select(t).where(t.c.id == operation_id, t.c.project_id == project_id)).first()
    if row is None:
        raise NotFound(f"there is no operation {operation_id[:64]}")
    return row


def resume(tx: Tx, operation_id: str) -> None:
    """Let a failed operation run again. Raises Conflict where another one has begun since."""
    t = tables.operations
    values = {"status": "running", "problem": None, "finished_at": None}
    try:
        with tx.connection.begin_nested():
            tx.connection.execute(update(t).where(t.c.id == operation_id).values(**values))
    except IntegrityError as error:
        raise Conflict(BUSY, what_to_do="wait for it, or cancel it") from error


def end(tx: Tx, operation_id: str, status: str, problem: Problem | None = None, result: Any = None) -> None:
    """End an operation that has not ended, and let its cluster go on to the next."""
    o, c = tables.operations, tables.clusters
    values: dict[str, Any] = {"status": status, "finished_at": tx.database.clock.now()}
    if problem is not None:
        values["problem"] = dump(problem)
    if result is not None:
        values["result"] = result
    tx.connection.execute(update(c).where(c.c.operation_id == operation_id).values(operation_id=None))
    tx.connection.execute(update(o).where(o.c.id == operation_id, o.c.status.not_in(ENDED)).values(**values))


def end_with_cluster(tx: Tx, cluster_id: str) -> None:
    """End whatever still runs on a cluster that is gone: a delete has come about, anything else has been given up.

    All of them, for the wishes to delete it may have overtaken each other, and the last word may name an older one.
    """
    t = tables.operations
    status = case((t.c.kind == "delete_cluster", "succeeded"), else_="cancelled")
    tx.connection.execute(
        update(t).where(t.c.cluster_id == cluster_id, t.c.status.in_(RUNNING))
        .values(status=status, finished_at=tx.database.clock.now())
    )  # fmt: skip


def end_all(tx: Tx, cluster_id: str, status: str) -> None:
    """End whatever runs on a cluster: it is to go."""
    t = tables.operations
    tx.connection.execute(
        update(t).where(t.c.cluster_id == cluster_id, t.c.status.in_(RUNNING))
        .values(status=status, finished_at=tx.database.clock.now())
    )  # fmt: skip


def _weights(connection: Connection, kind: str, cluster_id: str) -> dict[str, float]:
    o, s, c = tables.operations, tables.operation_steps, tables.clusters
    manager = c.c.datastore["manager"].as_string()
    mine = connection.execute(select(c.c.size, manager.label("manager")).where(c.c.id == cluster_id)).first()
    size = mine.size if mine else 1
    last = select(o.c.id, o.c.cluster_id, o.c.created_at).where(o.c.status == "succeeded", o.c.kind == kind)
    ones = last.order_by(o.c.created_at.desc()).limit(_LAST_ONES).subquery()
    like = select(ones.c.id).join(c, c.c.id == ones.c.cluster_id).order_by(ones.c.created_at.desc()).limit(1)
    found = None
    if mine is not None:
        found = connection.execute(like.where(c.c.size == size, manager == mine.manager)).scalar()
    if found is None:
        return first_weights(kind, size)
    weights: dict[str, float] = {}
    query = select(s.c.service, s.c.step, s.c.started_at, s.c.finished_at).where(s.c.operation_id == found)
    for row in connection.execute(query.where(s.c.finished_at.is_not(None))):
        name, seconds = f"{row.service}:{row.step}", (row.finished_at - row.started_at).total_seconds()
        weights[name] = round(weights.get(name, 0.0) + max(seconds, _LEAST_SECONDS), 3)
    return weights or first_weights(kind, size)
