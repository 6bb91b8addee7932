"""Schedules of backups: wishes, which are shown at once as they were made, and what the scheduler says of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select, update

from services.api.actions import backups, clusters
from services.api.actions.feed import remember
from services.api.store import tables
from shared.contracts.api import ScheduleRemoveRequested, ScheduleRequested
from shared.contracts.base import dump, load, new_id
from shared.contracts.scheduler import ScheduleRemoved, ScheduleSet
from shared.contracts.schedules import Retention, Terms
from shared.db import Database, Tx, UtcDateTime
from shared.db.outbox import pause_at
from shared.errors import Conflict, NotFound

MOST = 10
# A wish that nobody answers is said again, less and less often: the broker may have lost it.
SILENCE, LONGEST_PAUSE, BATCH = timedelta(seconds=10), timedelta(minutes=5), 100
_t = tables.schedules
# Asked every five seconds, or at each word of the scheduler's: they are put together once.
_ANSWERED = update(_t).where(_t.c.id == bindparam("of_id"), _t.c.answered < bindparam("of_version"))
_UNANSWERED: Select[Any] = (
    select(_t)
    .where(_t.c.answered < _t.c.version, _t.c.said_at < bindparam("before", type_=UtcDateTime))
    .order_by(_t.c.said_at).limit(bindparam("limit"))
)  # fmt: skip


def create(tx: Tx, project_id: str, cluster_id: str, asked: dict[str, Any]) -> str:
    """Make a schedule; returns its id. Raises NotFound, Conflict, Invalid."""
    cluster = clusters.lock(tx, project_id, cluster_id)
    if cluster.status == "deleting":
        raise Conflict(f"cluster {cluster.name} is being deleted", what_to_do="make another cluster")
    number = select(func.count()).select_from(_t).where(_t.c.cluster_id == cluster_id, _t.c.removed.is_(False))
    if tx.connection.execute(number).scalar_one() >= MOST:
        raise Conflict(f"cluster {cluster.name} has {MOST} schedules, and no cluster may have more",
                       what_to_do="change one of them, or delete one first")  # fmt: skip
    backups.see_kind(tx.connection, cluster, asked["kind"])
    now, schedule_id = tx.database.clock.now(), new_id()
    terms = Terms(**{**asked, "retention": Retention(**asked["retention"])})
    tx.insert_new(
        _t, id=schedule_id, cluster_id=cluster_id, project_id=project_id, terms=dump(terms), version=1, answered=0,
        sequence=0, removed=False, created_at=now, wished_at=now, said_at=now,
    )  # fmt: skip
    _wish(tx, get(tx.connection, project_id, cluster_id, schedule_id))
    return schedule_id


def change(tx: Tx, project_id: str, cluster_id: str, schedule_id: str, terms: Terms) -> None:
    """Have a schedule be so. Raises NotFound, Invalid."""
    row = lock(tx, project_id, cluster_id, schedule_id)
    before = _terms(row)
    if terms == before:
        return
    if terms.kind != before.kind:
        backups.see_kind(tx.connection, clusters.get(tx.connection, project_id, cluster_id), terms.kind)
    moved = {} if _times(terms) == _times(before) else {"next_at": None}
    _next_version(tx, row, terms=dump(terms), **moved)


def remove(tx: Tx, project_id: str, cluster_id: str, schedule_id: str) -> None:
    """Have a schedule go. Raises NotFound."""
    _next_version(tx, lock(tx, project_id, cluster_id, schedule_id), removed=True)


def merged(row: Row[Any], asked: dict[str, Any]) -> Terms:
    """What a schedule would be with these changes."""
    changes = dict(asked)
    if "retention" in changes:
        changes["retention"] = Retention(**changes["retention"])
    return replace(_terms(row), **changes)


def of_cluster(connection: Connection, project_id: str, cluster_id: str) -> list[Row[Any]]:
    """A cluster's schedules, the oldest first. Raises NotFound."""
    clusters.get(connection, project_id, cluster_id)
    mine = select(_t).where(_t.c.cluster_id == cluster_id, _t.c.removed.is_(False))
    return list(connection.execute(mine.order_by(_t.c.created_at, _t.c.id)))


def get(connection: Connection, project_id: str, cluster_id: str, schedule_id: str) -> Row[Any]:
    """One of them. Raises NotFound."""
    for row in of_cluster(connection, project_id, cluster_id):
        if row.id == schedule_id:
            return row
    raise NotFound(f"there is no schedule {schedule_id} of this cluster")


def lock(tx: Tx, project_id: str, cluster_id: str, schedule_id: str) -> Row[Any]:
    """The same, and nobody else changes it until this transaction ends: its cluster is locked. Raises NotFound."""
    clusters.lock(tx, project_id, cluster_id)
    return get(tx.connection, project_id, cluster_id, schedule_id)


def learn(tx: Tx, event: ScheduleSet) -> None:
    """How a schedule is: an older word changes nothing, and a newer wish of the user's stands."""
    c = tables.clusters
    alive = select(c.c.id).where(c.c.id == event.cluster_id, c.c.deleted_at.is_(None))
    if tx.connection.execute(alive).first() is None:
        return
    now = tx.database.clock.now()
    told = {"sequence": event.sequence, "last": dump(event)["last"]}
    wanted = {"terms": dump(event.terms), "next_at": event.next_at}
    whose = {"id": event.schedule_id, "cluster_id": event.cluster_id, "project_id": event.project_id}
    times = {"created_at": now, "wished_at": now, "said_at": now}
    if tx.insert_new(
        _t, **whose, **told, **wanted, **times, version=event.version, answered=event.version, removed=False
    ):
        return
    older = update(_t).where(_t.c.id == event.schedule_id, _t.c.sequence < event.sequence)
    tx.connection.execute(older.values(**told))
    # One that has not been overtaken by a wish, nor by a later word.
    same = update(_t).where(
        _t.c.id == event.schedule_id, _t.c.version <= event.version, _t.c.sequence == event.sequence
    )
    tx.connection.execute(same.values(**wanted, version=event.version))
    _answered(tx, event)


def learn_end(tx: Tx, event: ScheduleRemoved) -> None:
    """A schedule is no more."""
    gone = update(_t).where(_t.c.id == event.schedule_id)
    tx.connection.execute(gone.values(removed=True))
    _answered(tx, event)


def forget(tx: Tx, cluster_id: str) -> None:
    """A cluster that is gone has none."""
    tx.remove(_t.c.cluster_id, cluster_id)


def say_again(database: Database) -> int:
    """Say once more what the scheduler has not answered; returns how many wishes."""
    now = database.clock.now()
    before = now - SILENCE
    with database.read() as connection:
        if connection.execute(_UNANSWERED, {"before": before, "limit": 1}).first() is None:
            return 0
    said = 0
    with database.write() as tx:
        locked = _UNANSWERED.with_for_update(skip_locked=True)
        for row in tx.connection.execute(locked, {"before": before, "limit": BATCH}).all():
            if row.said_at <= now - pause_at(now - row.wished_at, SILENCE, LONGEST_PAUSE):
                tx.emit(_wish_of(row))
                tx.connection.execute(update(_t).where(_t.c.id == row.id).values(said_at=now))
                said += 1
    return said


def _answered(tx: Tx, event: ScheduleSet | ScheduleRemoved) -> None:
    values = {"of_id": event.schedule_id, "of_version": event.version, "answered": event.version}
    tx.connection.execute(_ANSWERED, values)


def _next_version(tx: Tx, row: Row[Any], **values: Any) -> None:
    now = tx.database.clock.now()
    times = {"wished_at": now, "said_at": now}
    mine = _t.c.id == row.id
    tx.connection.execute(update(_t).where(mine).values(version=row.version + 1, **times, **values))
    _wish(tx, tx.connection.execute(select(_t).where(mine)).one())


def _wish(tx: Tx, row: Row[Any]) -> None:
    wish = _wish_of(row)
    tx.emit(wish)
    remember(tx, wish, row.project_id)


def _wish_of(row: Row[Any]) -> ScheduleRequested | ScheduleRemoveRequested:
    about = {"schedule_id": row.id, "cluster_id": row.cluster_id, "project_id": row.project_id, "version": row.version}
    return ScheduleRemoveRequested(**about) if row.removed else ScheduleRequested(**about, terms=_terms(row))


def _times(terms: Terms) -> tuple[str, str, bool]:
    return terms.cron, terms.timezone, terms.enabled


def _terms(row: Row[Any]) -> Terms:
    return load(Terms, row.terms)
