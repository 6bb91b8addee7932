"""Operations as rows: begun, looked up, ended. One that changes a cluster is alone on it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, select, update
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
# What goes on, and may begin, though the cluster is on its way out or gone.
BACKUP, DELETE_BACKUP = "backup", "delete_backup"
EXPORT, DELETE_EXPORT = "export", "delete_export"
IMPORT = "import"
RESTORE = "restore_cluster"
# What makes a cluster of its own, which is gone with the answer.
VERIFY = "verify_backup"
BUSY = "another operation is under way on this cluster"
# An operation learns from the last one of its kind, on a cluster of the same size and datastore, how long each step takes.
_LEAST_SECONDS, _LAST_ONES = 0.05, 50


# Each operation asks these: they are put together once.
_o, _s, _c = tables.operations, tables.operation_steps, tables.clusters
_MINE = select(_o).where(_o.c.id == bindparam("of_id"), _o.c.project_id == bindparam("of_project"))
_BUSY_WITH = update(_c).where(_c.c.id == bindparam("of_id"))
_BUSY_NO_MORE = update(_c).where(_c.c.operation_id == bindparam("of_id")).values(operation_id=None)
_END = update(_o).where(_o.c.id == bindparam("of_id"), _o.c.status.not_in(ENDED))
_END_ALL = update(_o).where(
    _o.c.cluster_id == bindparam("of_cluster"),
    _o.c.status.in_(RUNNING),
    _o.c.kind.not_in((DELETE_BACKUP, DELETE_EXPORT)),
)
_MAKE_WAY = (
    update(_o).where(_o.c.cluster_id == bindparam("of_cluster"), _o.c.status.in_(RUNNING),
                      _o.c.kind.in_((BACKUP, IMPORT, RESTORE)))
    .values(exclusive=False)
)  # fmt: skip
_PROJECT_OF_LIVING = select(_c.c.project_id).where(_c.c.id == bindparam("of_id"), _c.c.deleted_at.is_(None))
_END_WITH_CLUSTER = _END_ALL.values(status=case((_o.c.kind == "delete_cluster", "succeeded"), else_="cancelled"))
_manager = _c.c.datastore["manager"].as_string()
_LIKENESS = select(_c.c.size, _manager.label("manager")).where(_c.c.id == bindparam("of_id"))
_LAST = (
    select(_o.c.id, _o.c.cluster_id, _o.c.created_at)
    .where(_o.c.status == "succeeded", _o.c.kind == bindparam("of_kind"))
    .order_by(_o.c.created_at.desc()).limit(_LAST_ONES).subquery()
)  # fmt: skip
_LAST_ALIKE = (
    select(_LAST.c.id).join(_c, _c.c.id == _LAST.c.cluster_id)
    .where(_c.c.size == bindparam("of_size"), _manager == bindparam("of_manager"))
    .order_by(_LAST.c.created_at.desc()).limit(1)
)  # fmt: skip
_TIMES = select(_s.c.service, _s.c.step, _s.c.started_at, _s.c.finished_at).where(
    _s.c.operation_id == bindparam("of_id"), _s.c.finished_at.is_not(None)
)


def start_operation(tx: Tx, kind: str, cluster_id: str, project_id: str, *, exclusive: bool = True) -> str:
    """A new operation. Raises Conflict where another exclusive one is under way: a unique index sees to that."""
    operation_id = new_id()
    if not add(tx, operation_id, kind, cluster_id, project_id, exclusive=exclusive):
        raise Conflict(BUSY, what_to_do="wait for it, or cancel it")
    if exclusive:
        tx.connection.execute(_BUSY_WITH, {"of_id": cluster_id, "operation_id": operation_id})
    return operation_id


def make_way(tx: Tx, cluster_id: str) -> None:
    """A backup, an import or a restore in place that runs is alone on its cluster no longer: whoever has to save the cluster does not wait for it."""
    tx.connection.execute(_MAKE_WAY, {"of_cluster": cluster_id})


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
    row = connection.execute(_MINE, {"of_id": operation_id, "of_project": project_id}).first()
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
    values: dict[str, Any] = {"of_id": operation_id, "status": status, "finished_at": tx.database.clock.now()}
    if problem is not None:
        values["problem"] = dump(problem)
    if result is not None:
        values["result"] = result
    tx.connection.execute(_BUSY_NO_MORE, {"of_id": operation_id})
    tx.connection.execute(_END, values)


def end_with_cluster(tx: Tx, cluster_id: str) -> None:
    """End whatever still runs on a cluster that is gone: a delete has come about, anything else has been given up.

    All of them, for the wishes to delete it may have overtaken each other, and the last word may name an older one.
    """
    tx.connection.execute(_END_WITH_CLUSTER, {"of_cluster": cluster_id, "finished_at": tx.database.clock.now()})


def end_all(tx: Tx, cluster_id: str, status: str) -> None:
    """End whatever runs on a cluster: it is to go."""
    values = {"of_cluster": cluster_id, "status": status, "finished_at": tx.database.clock.now()}
    tx.connection.execute(_END_ALL, values)


def record(tx: Tx, operation_id: str, kind: str, cluster_id: str) -> None:
    """Write down an operation that another service has begun, alone on its cluster where it can be."""
    project_id = tx.connection.execute(_PROJECT_OF_LIVING, {"of_id": cluster_id}).scalar_one_or_none()
    if not project_id:
        return
    wanted = (operation_id, kind, cluster_id, str(project_id))
    # Where something else runs on the cluster, datastore_agentless lets the two wait for each other.
    if not add(tx, *wanted, exclusive=True) and not add(tx, *wanted, exclusive=False):
        rename(tx, operation_id, kind)


def rename(tx: Tx, operation_id: str, kind: str) -> None:
    """Say what an operation is of which a step, or the end, was heard before it, and which goes by another name."""
    tx.connection.execute(update(_o).where(_o.c.id == operation_id).values(kind=kind))


def _weights(connection: Connection, kind: str, cluster_id: str) -> dict[str, float]:
    mine = connection.execute(_LIKENESS, {"of_id": cluster_id}).first()
    if mine is None:
        return first_weights(kind, 1)
    alike = {"of_kind": kind, "of_size": mine.size, "of_manager": mine.manager}
    found = connection.execute(_LAST_ALIKE, alike).scalar()
    if found is None:
        return first_weights(kind, mine.size)
    weights: dict[str, float] = {}
    for row in connection.execute(_TIMES, {"of_id": found}):
        name, seconds = f"{row.service}:{row.step}", (row.finished_at - row.started_at).total_seconds()
        weights[name] = round(weights.get(name, 0.0) + max(seconds, _LEAST_SECONDS), 3)
    return weights or first_weights(kind, mine.size)
