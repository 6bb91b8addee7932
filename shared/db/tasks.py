"""The task rows in SQL: claim, renew, save, finish. Every save names the epoch of its claim."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, exists, func, insert, or_, select, update

from shared.contracts.base import dump, load
from shared.contracts.values import Problem
from shared.db.engine import Database, Tx
from shared.errors import StaleEpoch
from shared.workflow import Task

OPEN = "open"


def due(connection: Connection, database: Database, limit: int = 20) -> list[tuple[str, str]]:
    """Ids and subjects of tasks that could be claimed now, longest due first."""
    t, now = database.tasks, database.clock.now()
    free = or_(t.c.lease_until.is_(None), t.c.lease_until <= now)
    query = select(t.c.id, t.c.subject).where(t.c.status == OPEN, t.c.due_at <= now, free)
    return [(row.id, row.subject) for row in connection.execute(query.order_by(t.c.due_at).limit(limit))]


def seconds_to_next(connection: Connection, database: Database) -> float | None:
    """How long until a task could become due, or None when no task is open."""
    t, now = database.tasks, database.clock.now()
    rows = connection.execute(
        select(t.c.due_at, t.c.lease_until).where(t.c.status == OPEN).order_by(t.c.due_at).limit(50)
    )
    times = [max(row.due_at, row.lease_until or row.due_at) for row in rows]
    return max(0.0, (min(times) - now).total_seconds()) if times else None


def claim(tx: Tx, task_id: str, subject: str, owner: str, lease: float) -> Task | None:
    """Take a task, unless somebody has it or works on the same subject. The subject's fence row orders rivals."""
    database, now = tx.database, tx.database.clock.now()
    t = database.tasks
    epoch = _next_epoch(tx, subject)
    other = t.alias("other")
    busy = exists().where(
        and_(other.c.subject == subject, other.c.id != task_id, other.c.status == OPEN, other.c.lease_until > now)
    )
    free = or_(t.c.lease_until.is_(None), t.c.lease_until <= now)
    won = tx.connection.execute(
        update(t)
        .where(t.c.id == task_id, t.c.status == OPEN, t.c.due_at <= now, free, ~busy)
        .values(
            lease_owner=owner, lease_until=now + timedelta(seconds=lease), epoch=epoch, claims=t.c.claims + 1,
            step_started_at=func.coalesce(t.c.step_started_at, now),
        )
    )  # fmt: skip
    if won.rowcount != 1:
        return None
    return get(tx.connection, database, task_id)


def renew(tx: Tx, task: Task, lease: float) -> bool:
    """Lengthen the lease; true when the user wants the task to stop. Raises StaleEpoch when it is another's."""
    t = tx.database.tasks
    save(tx, task, lease_until=tx.database.clock.now() + timedelta(seconds=lease))
    return bool(tx.connection.execute(select(t.c.cancel_requested).where(t.c.id == task.id)).scalar_one())


def save(tx: Tx, task: Task, **values: Any) -> None:
    """Write columns of a claimed task. Raises StaleEpoch when the claim is no longer ours."""
    t = tx.database.tasks
    changed = tx.connection.execute(
        update(t).where(t.c.id == task.id, t.c.epoch == task.epoch, t.c.status == OPEN).values(**values)
    )
    if changed.rowcount != 1:
        raise StaleEpoch(f"task {task.id} was claimed by another worker after epoch {task.epoch}")


def finish(tx: Tx, task: Task, status: str, problem: Problem | None = None) -> None:
    """End a task as succeeded, failed or cancelled."""
    values: dict[str, Any] = {"status": status, "lease_until": None, "finished_at": tx.database.clock.now()}
    if problem is not None:
        values["problem"] = dump(problem)
    save(tx, task, **values)


def cancel(tx: Tx, *, cluster_id: str = "", operation_id: str = "", kinds: tuple[str, ...] = ()) -> int:
    """Ask open tasks of a cluster or operation to stop and be undone; they notice at once. Returns how many."""
    t = tx.database.tasks
    query = update(t).where(t.c.status == OPEN)
    if cluster_id:
        query = query.where(t.c.cluster_id == cluster_id)
    if operation_id:
        query = query.where(t.c.operation_id == operation_id)
    if kinds:
        query = query.where(t.c.kind.in_(kinds))
    return tx.connection.execute(query.values(cancel_requested=True, due_at=tx.database.clock.now())).rowcount


def reopen(tx: Tx, operation_id: str) -> int:
    """Let the failed tasks of an operation go on from the step that failed; returns how many."""
    t, now = tx.database.tasks, tx.database.clock.now()
    query = update(t).where(t.c.operation_id == operation_id, t.c.status == "failed")
    # What was undone is made again from the first step.
    tx.connection.execute(query.where(t.c.mode == "undo").values(step="", done=[]))
    values = {"status": OPEN, "mode": "forward", "attempt": 0, "claims": 0, "step_started_at": None, "due_at": now,
              "problem": None, "finished_at": None, "cancel_requested": False}  # fmt: skip
    return tx.connection.execute(query.values(**values)).rowcount


def open_tasks(connection: Connection, database: Database, cluster_id: str) -> int:
    """How many tasks of a cluster are not at their end."""
    t = database.tasks
    query = select(func.count()).select_from(t).where(t.c.cluster_id == cluster_id, t.c.status == OPEN)
    return int(connection.execute(query).scalar_one())


def get(connection: Connection, database: Database, task_id: str) -> Task | None:
    """A task by its id."""
    t = database.tasks
    row = connection.execute(select(t).where(t.c.id == task_id)).first()
    return None if row is None else _task(row, database.clock.now())


def with_step(task: Task, step: str, **changes: Any) -> Task:
    """The task as it is once it has moved to `step`."""
    return replace(task, step=step, attempt=0, claims=1, message="", **changes)


def _task(row: Row[Any], now: datetime) -> Task:
    return Task(
        id=row.id, kind=row.kind, subject=row.subject, cluster_id=row.cluster_id, operation_id=row.operation_id,
        host=row.host, payload=row.payload, mode=row.mode, step=row.step, done=tuple(row.done), attempt=row.attempt,
        claims=row.claims, epoch=row.epoch, step_started_at=row.step_started_at or now,
        message=row.message, cancel_requested=row.cancel_requested,
        problem=load(Problem, row.problem) if row.problem else None,
    )  # fmt: skip


def _next_epoch(tx: Tx, subject: str) -> int:
    fences = tx.database.fences
    moved = tx.connection.execute(update(fences).where(fences.c.subject == subject).values(value=fences.c.value + 1))
    if moved.rowcount == 0:
        with tx.connection.begin_nested():
            tx.connection.execute(insert(fences).values(subject=subject, value=1))
    return int(tx.connection.execute(select(fences.c.value).where(fences.c.subject == subject)).scalar_one())
