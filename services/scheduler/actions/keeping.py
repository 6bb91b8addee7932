"""Backups that are there: kept for as long as their schedules say, and then told to go, until they are gone.

That a backup has expired is nobody's wish, but what DTrove does of itself is shown like what a user has asked for: so it has an
operation, by which it is also said again until somebody answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, or_, select, update

from services.scheduler.actions import proving, renewing, running
from services.scheduler.actions.clusters import find
from services.scheduler.domain.retention import Kept, rule_of, to_go
from services.scheduler.domain.schedule import Schedule
from services.scheduler.store.tables import COMPLETED, DAMAGED, EXPIRED, RUNNING, backups, clusters, schedules
from shared.contracts.backups import (
    BackupCompleted,
    BackupDeleted,
    BackupDeleteFailed,
    BackupFailed,
    BackupStarted,
)
from shared.contracts.base import new_id
from shared.contracts.scheduler import BackupExpired
from shared.contracts.schedules import Retention
from shared.db import Database, Tx

# What could not be deleted, or was never answered, is told to go again after so long; so long a backup takes at most.
AGAIN, LONGEST_BACKUP = timedelta(days=1), timedelta(days=7)
# What is over may be spoken of late, and is known for so long.
REMEMBERED = timedelta(days=14)
BATCH = 100


def started(database: Database, event: BackupStarted) -> None:
    """A backup is being made: what it builds upon stays meanwhile."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "started"):
            find(tx, event.cluster_id, event.project_id)
            tx.insert_new(backups, **_columns(event, event.schedule_id), state=RUNNING, begun_at=event.occurred_at)


def completed(database: Database, event: BackupCompleted) -> None:
    """A backup is whole: older ones may have been kept for long enough."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "completed"):
            return
        find(tx, event.cluster_id, event.project_id)
        its = running.ended(tx, event)
        values = _columns(event, event.schedule_id or (its.id if its else ""))
        done = {"state": COMPLETED, "completed_at": event.occurred_at}
        if not tx.insert_new(backups, **values, **done, begun_at=event.occurred_at):
            # One that was taken for damaged is said to be whole once more.
            unfinished = (backups.c.id == event.backup_id, backups.c.state.in_((RUNNING, DAMAGED)))
            tx.connection.execute(update(backups).where(*unfinished).values(**values, **done))
        proving.completed(tx, event, str(values["schedule_id"]))
        _apply(tx, event.cluster_id)


def failed(database: Database, event: BackupFailed) -> None:
    """A backup could not be made, and there is none; or it is damaged, and another one follows."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "failed"):
            return
        if event.damaged:
            renewing.damaged(tx, event)
        else:
            running.ended(tx, event)
            tx.connection.execute(delete(backups).where(backups.c.id == event.backup_id, backups.c.state == RUNNING))


def deleted(database: Database, event: BackupDeleted) -> None:
    """A backup is gone: what it was built upon may go as well."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "deleted"):
            find(tx, event.cluster_id)
            tx.remove(backups.c.id, event.backup_id)
            _apply(tx, event.cluster_id)


def not_deleted(database: Database, event: BackupDeleteFailed) -> None:
    """A backup is still there: it is told to go again tomorrow, and not every minute."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "not_deleted"):
            mine = (backups.c.id == event.backup_id, backups.c.state == EXPIRED)
            tx.connection.execute(update(backups).where(*mine).values(said_at=None))


def sweep(database: Database) -> int:
    """See to the backups that no newer one sees to: of schedules that are paused or over. Returns how many clusters have such.

    And to those that were told to go and are still there.
    """
    now = database.clock.now()
    b, s, c = backups, schedules, clusters
    at_rest = (
        b.c.state.in_((COMPLETED, DAMAGED))
        & (s.c.enabled.is_(False) | c.c.deleted_at.is_not(None))
        & (b.c.schedule_id != "")
    )
    stuck = (b.c.state == EXPIRED) & b.c.said_at.is_(None) & (b.c.expired_at <= now - AGAIN)
    lost = (b.c.state == RUNNING) & (b.c.begun_at <= now - LONGEST_BACKUP)
    whose = b.outerjoin(s, s.c.id == b.c.schedule_id).outerjoin(c, c.c.id == b.c.cluster_id)
    with database.read() as connection:
        query = select(b.c.cluster_id).select_from(whose).where(or_(at_rest, stuck, lost)).distinct()
        found = list(connection.execute(query).scalars())
    for cluster_id in found:
        with database.write() as tx:
            find(tx, cluster_id)
            mine = b.c.cluster_id == cluster_id
            tx.connection.execute(delete(b).where(mine, lost))
            tx.connection.execute(update(b).where(mine, stuck).values(state=COMPLETED))
            _apply(tx, cluster_id)
    return len(found)


def forget_old(database: Database) -> None:
    """Drop what is over and has left no backups behind."""
    long_ago = database.clock.now() - REMEMBERED
    s, c, b = schedules, clusters, backups
    database.forget(s, s.c.id, (s.c.removed_at < long_ago) & s.c.id.not_in(select(b.c.schedule_id)))
    database.forget(c, c.c.id, (c.c.deleted_at < long_ago) & c.c.id.not_in(select(b.c.cluster_id)))


def _apply(tx: Tx, cluster_id: str) -> None:
    """Tell those to go that have been kept for long enough. The cluster's row is locked: two who do this do it in turn."""
    cluster = find(tx, cluster_id)
    rows = {row.id: row for row in tx.connection.execute(select(backups).where(backups.c.cluster_id == cluster_id))}
    now, gone = tx.database.clock.now(), cluster.deleted_at is not None
    there = [_kept(row) for row in rows.values()]
    for backup_id in to_go(there, _rules(tx, cluster_id, gone=gone), now, alive=not gone):
        _expire(tx, rows[backup_id], now)


def _rules(tx: Tx, cluster_id: str, *, gone: bool) -> Mapping[str, Retention]:
    rows = tx.connection.execute(select(schedules).where(schedules.c.cluster_id == cluster_id))
    found = [Schedule(**row._mapping) for row in rows]
    return {one.id: rule_of(one.terms.retention, over=gone or one.removed_at is not None) for one in found}


def _expire(tx: Tx, row: Row[Any], now: datetime) -> None:
    operation_id = new_id()
    values = {"state": EXPIRED, "expired_at": now, "said_at": now, "operation_id": operation_id}
    tx.connection.execute(update(backups).where(backups.c.id == row.id).values(**values))
    tx.emit(
        BackupExpired(schedule_id=row.schedule_id, backup_id=row.id, operation_id=operation_id,
                      cluster_id=row.cluster_id, project_id=row.project_id)
    )  # fmt: skip


def _kept(row: Row[Any]) -> Kept:
    return Kept(row.id, row.schedule_id, row.base_id, row.completed_at, going=row.state == EXPIRED,
                damaged=row.state == DAMAGED)  # fmt: skip


def _columns(event: BackupStarted | BackupCompleted, schedule_id: str) -> dict[str, Any]:
    return {"id": event.backup_id, "schedule_id": schedule_id, "cluster_id": event.cluster_id,
            "project_id": event.project_id, "kind": event.kind, "base_id": event.base_id}  # fmt: skip
