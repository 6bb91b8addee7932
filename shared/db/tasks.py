"""The task rows in SQL: claim, renew, save, finish. Every save names the epoch of its claim."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)

from shared.contracts.base import dump, load
from shared.contracts.values import Problem
from shared.db.engine import TASKS, Database, Tx
from shared.db.types import UtcDateTime
from shared.errors import StaleEpoch
from shared.workflow import Task

OPEN = "open"
# The subject of the fence that no task has: what every other one begins at (see shared/db/setting_back.py).
FLOOR = "*"
NOW = bindparam("now", type_=UtcDateTime)
Moment = datetime | BindParameter[Any]
# A task's id, and the epoch of the claim.
Claim = tuple[str, int]


@dataclass(frozen=True)
class Look:
    """What there is to do: ids and subjects of tasks that could be claimed now, the longest ready first.

    `pause` is how many seconds it takes until time alone makes another one ready: it comes due, or a lease runs out. None
    when time brings nothing. `more` says that there may be others ready, which were too many for one look.
    """

    ready: list[tuple[str, str]]
    pause: float | None
    more: bool


def look(connection: Connection, database: Database, held: Iterable[str] = (), limit: int = 20) -> Look:
    """Look at the open tasks but those of `held`; one whose subject somebody works on is not ready."""
    now = database.clock.now()
    rows = list(connection.execute(_ahead(database.tasks), {"now": now, "held": list(held), "limit": limit}))
    later = next((row.ready_at for row in rows if row.ready_at > now), None)
    pause = None if later is None else (later - now).total_seconds()
    ready = [(row.id, row.subject) for row in rows if row.ready_at <= now]
    return Look(ready, pause, more=len(ready) == limit)


def claim(tx: Tx, task_id: str, subject: str, owner: str, lease: float) -> Task | None:
    """Take a task, unless somebody has it or works on the same subject. The subject's fence row orders rivals."""
    database = tx.database
    epoch = _lock_fence(tx, subject) + 1
    # Only now: a rival may have held the fence until a moment ago.
    t, now = database.tasks, database.clock.now()
    values = {"of_id": task_id, "now": now, "owner": owner, "until": now + timedelta(seconds=lease), "new_epoch": epoch}
    if tx.connection.execute(_claim(t), values).rowcount != 1:
        return None
    tx.connection.execute(_raise_fence(database.fences), {"of_subject": subject, "epoch": epoch})
    return get(tx.connection, database, task_id)


def renew(tx: Tx, held: Collection[Task], lease: float) -> tuple[set[Claim], set[str]]:
    """Lengthen the leases of claimed tasks; the claims that are lost, and the ids of tasks that are to stop.

    What its worker has let go meanwhile stays free: it would wait for the end of a lease that nobody holds.
    """
    until = tx.database.clock.now() + timedelta(seconds=lease)
    lost = set()
    for task in held:
        values = {"of_id": task.id, "of_epoch": task.epoch, "until": until}
        if tx.connection.execute(_renewal(tx.database.tasks), values).rowcount != 1:
            lost.add((task.id, task.epoch))
    return lost, to_stop(tx.connection, tx.database, [task.id for task in held])


def to_stop(connection: Connection, database: Database, ids: Iterable[str]) -> set[str]:
    """Which of these tasks the user wants to stop."""
    return {row.id for row in connection.execute(_cancelled(database.tasks), {"ids": list(ids)})}


def stand(tx: Tx, task: Task) -> None:
    """Raise StaleEpoch when the claim is no longer ours."""
    if tx.connection.execute(_held(tx.database.tasks), {"of_id": task.id, "of_epoch": task.epoch}).first() is None:
        raise _stale(task)


def save(tx: Tx, task: Task, **values: Any) -> None:
    """Write columns of a claimed task. Raises StaleEpoch when the claim is no longer ours."""
    claim_of = {"of_id": task.id, "of_epoch": task.epoch}
    if tx.connection.execute(_claimed(tx.database.tasks), claim_of | values).rowcount != 1:
        raise _stale(task)


def let_go(tx: Tx, task: Task, **values: Any) -> None:
    """Write columns of a claimed task and give up its lease: whoever waits for its subject may go on at once."""
    save(tx, task, lease_until=None, **values)
    tx.wakes.add(TASKS)


def finish(tx: Tx, task: Task, status: str, problem: Problem | None = None) -> None:
    """End a task as succeeded, failed or cancelled."""
    values: dict[str, Any] = {"status": status, "finished_at": tx.database.clock.now()}
    if problem is not None:
        values["problem"] = dump(problem)
    let_go(tx, task, **values)


def cancel(
    tx: Tx, *, cluster_id: str = "", operation_id: str = "", subject: str = "", kinds: tuple[str, ...] = (),
    but: tuple[str, ...] = (),
) -> int:  # fmt: skip
    """Ask open tasks of a cluster, an operation or a subject to stop and be undone; they notice at once. Returns how many.

    With `kinds` these alone, with `but` not those.
    """
    asked = {"of_cluster_id": cluster_id, "of_operation_id": operation_id, "of_subject": subject, "of_kind": list(kinds),
             "but": list(but)}  # fmt: skip
    wanted = {name: value for name, value in asked.items() if value}
    tx.wakes.add(TASKS)
    values = {**wanted, "due_at": tx.database.clock.now()}
    return tx.connection.execute(_cancellation(tx.database.tasks, tuple(wanted)), values).rowcount


def reopen(tx: Tx, operation_id: str, *, kinds: tuple[str, ...] = ()) -> int:
    """Let the failed tasks of an operation, or those of these kinds, go on from the step that failed; returns how many."""
    t, now = tx.database.tasks, tx.database.clock.now()
    tx.wakes.add(TASKS)
    query = update(t).where(t.c.operation_id == operation_id, t.c.status == "failed")
    if kinds:
        query = query.where(t.c.kind.in_(kinds))
    # What was undone is made again from the first step.
    tx.connection.execute(query.where(t.c.mode == "undo").values(step="", done=[]))
    values = {"status": OPEN, "mode": "forward", "attempt": 0, "claims": 0, "step_started_at": None, "due_at": now,
              "problem": None, "finished_at": None, "cancel_requested": False}  # fmt: skip
    return tx.connection.execute(query.values(**values)).rowcount


def floor(tx: Tx) -> int:
    """The epoch that a subject begins at: above 0 where the database was set back to an older copy."""
    return int(tx.connection.execute(_floor(tx.database.fences)).scalar_one_or_none() or 0)


def others_open(tx: Tx, task: Task) -> bool:
    """Whether another task of the same kind and operation is not at its end."""
    t = tx.database.tasks
    alike = (t.c.operation_id == task.operation_id, t.c.kind == task.kind, t.c.status == OPEN, t.c.id != task.id)
    return tx.connection.execute(select(t.c.id).where(*alike).limit(1)).first() is not None


def is_open(connection: Connection, database: Database, cluster_id: str, kind: str) -> bool:
    """Whether a task of this kind is not at its end on a cluster."""
    t = database.tasks
    there = (t.c.cluster_id == cluster_id, t.c.kind == kind, t.c.status == OPEN)
    return connection.execute(select(t.c.id).where(*there).limit(1)).first() is not None


def open_tasks(connection: Connection, database: Database, cluster_id: str) -> int:
    """How many tasks of a cluster are not at their end."""
    t = database.tasks
    query = select(func.count()).select_from(t).where(t.c.cluster_id == cluster_id, t.c.status == OPEN)
    return int(connection.execute(query).scalar_one())


def get(connection: Connection, database: Database, task_id: str) -> Task | None:
    """A task by its id."""
    row = connection.execute(_by_id(database.tasks), {"of_id": task_id}).first()
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


# These are asked before and after every step, the first one every second even when idle: they are put together once.


@cache
def _ahead(t: Table) -> Select[Any]:
    ready_at = _ready_at(t)
    wanted = (
        t.c.status == OPEN,
        t.c.id.not_in(bindparam("held", expanding=True)),
        or_(ready_at > NOW, ~_blocked(t, NOW)),
    )
    query = select(t.c.id, t.c.subject, ready_at.label("ready_at")).where(*wanted)
    return query.order_by("ready_at", t.c.id).limit(bindparam("limit"))


@cache
def _claimed(t: Table) -> Update:
    return update(t).where(t.c.id == bindparam("of_id"), t.c.epoch == bindparam("of_epoch"), t.c.status == OPEN)


@cache
def _renewal(t: Table) -> Update:
    return _claimed(t).where(t.c.lease_until.is_not(None)).values(lease_until=bindparam("until", type_=UtcDateTime))


@cache
def _claim(t: Table) -> Update:
    free = and_(t.c.status == OPEN, t.c.due_at <= NOW, _unleased(t, NOW), ~_blocked(t, NOW))
    return (
        update(t)
        .where(t.c.id == bindparam("of_id"), free)
        .values(
            lease_owner=bindparam("owner"), lease_until=bindparam("until", type_=UtcDateTime),
            epoch=bindparam("new_epoch"), claims=t.c.claims + 1,
            step_started_at=func.coalesce(t.c.step_started_at, NOW),
        )
    )  # fmt: skip


@cache
def _held(t: Table) -> Select[Any]:
    ours = and_(t.c.id == bindparam("of_id"), t.c.epoch == bindparam("of_epoch"), t.c.status == OPEN)
    return select(t.c.id).where(ours).with_for_update()


@cache
def _cancelled(t: Table) -> Select[Any]:
    return select(t.c.id).where(t.c.id.in_(bindparam("ids", expanding=True)), t.c.cancel_requested.is_(True))


@cache
def _cancellation(t: Table, wanted: tuple[str, ...]) -> Update:
    """Of the open tasks that have these values."""
    of = {
        "of_cluster_id": t.c.cluster_id == bindparam("of_cluster_id"),
        "of_operation_id": t.c.operation_id == bindparam("of_operation_id"),
        "of_subject": t.c.subject == bindparam("of_subject"),
        "of_kind": t.c.kind.in_(bindparam("of_kind", expanding=True)),
        "but": t.c.kind.not_in(bindparam("but", expanding=True)),
    }
    return update(t).where(t.c.status == OPEN, *(of[name] for name in wanted)).values(cancel_requested=True)


@cache
def _by_id(t: Table) -> Select[Any]:
    return select(t).where(t.c.id == bindparam("of_id"))


@cache
def _fence(fences: Table) -> Select[Any]:
    return select(fences.c.value).where(fences.c.subject == bindparam("of_subject")).with_for_update()


@cache
def _floor(fences: Table) -> Select[Any]:
    return select(fences.c.value).where(fences.c.subject == FLOOR)


@cache
def _raise_fence(fences: Table) -> Update:
    return update(fences).where(fences.c.subject == bindparam("of_subject")).values(value=bindparam("epoch"))


def _ready_at(t: FromClause) -> ColumnElement[datetime]:
    """When time lets a task be claimed: it is due, and nobody has a lease on it any more."""
    return case((t.c.lease_until > t.c.due_at, t.c.lease_until), else_=t.c.due_at)


def _unleased(t: FromClause, now: Moment) -> ColumnElement[bool]:
    return or_(t.c.lease_until.is_(None), t.c.lease_until <= now)


def _blocked(t: FromClause, now: Moment) -> ColumnElement[bool]:
    """Whether another task holds a lease on the same subject."""
    other = t.alias("other")
    same = and_(other.c.subject == t.c.subject, other.c.id != t.c.id)
    return exists().where(same, other.c.status == OPEN, other.c.lease_until > now)


def _lock_fence(tx: Tx, subject: str) -> int:
    """Lock a subject until the end of the transaction; return the highest epoch that it was ever given."""
    fences = tx.database.fences
    row, of = _fence(fences), {"of_subject": subject}
    value = tx.connection.execute(row, of).scalar_one_or_none()
    if value is None:
        tx.insert_new(fences, subject=subject, value=floor(tx))
        value = tx.connection.execute(row, of).scalar_one()
    return int(value)


def _stale(task: Task) -> StaleEpoch:
    return StaleEpoch(f"task {task.id} was claimed by another worker after epoch {task.epoch}")
