"""Backups whose time has come: announced once each, said again until somebody answers, and what became of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import Row, Select, Table, bindparam, func, select, update

from services.scheduler.actions.schedules import next_time, store, tell
from services.scheduler.domain.schedule import Schedule
from services.scheduler.store.tables import COMPLETED, RUNNING, backups, schedules
from shared.contracts.backups import FULL, BackupCompleted, BackupFailed
from shared.contracts.scheduler import BackupDue
from shared.contracts.schedules import Outcome
from shared.db import Database, Tx, UtcDateTime
from shared.db.outbox import pause_at
from shared.errors import Invalid

BATCH = 100
# What nobody has answered is said again after the first pause, then less and less often, and is given up in the end.
FIRST_PAUSE, LONGEST_PAUSE, GIVEN_UP = timedelta(seconds=20), timedelta(minutes=10), timedelta(days=1)
log = logging.getLogger(__name__)


# Asked every few seconds, and nearly always in vain: they are put together once.
_DUE: Select[Any] = (
    select(schedules)
    .where(schedules.c.enabled, schedules.c.next_at <= bindparam("now", type_=UtcDateTime))
    .limit(bindparam("limit"))
)


@cache
def _unanswered(table: Table) -> Select[Any]:
    return select(table).where(table.c.said_at <= bindparam("before", type_=UtcDateTime)).limit(bindparam("limit"))


def announce_due(database: Database) -> int:
    """Announce every backup whose time has come and move its schedule on, in one transaction; returns how many.

    Times that passed while the scheduler was down are made up for once, not once each. The ids follow from schedule
    and time, so that two schedulers which race announce the same backup.
    """
    now = database.clock.now()
    if not _any(database, _DUE, now=now):
        return 0
    with database.write() as tx:
        rows = tx.connection.execute(_DUE.with_for_update(skip_locked=True), {"now": now, "limit": BATCH})
        due = [Schedule(**row._mapping) for row in rows]
        for entry in due:
            _announce(tx, entry, now)
    return len(due)


def _announce(tx: Tx, entry: Schedule, now: datetime) -> None:
    name = f"{entry.id}:{entry.next_at.isoformat()}"
    operation_id, backup_id = (
        str(uuid5(NAMESPACE_URL, f"operation:{name}")),
        str(uuid5(NAMESPACE_URL, f"backup:{name}")),
    )
    tx.emit(
        BackupDue(
            event_id=str(uuid5(NAMESPACE_URL, f"due:{name}")), schedule_id=entry.id, backup_id=backup_id,
            operation_id=operation_id, cluster_id=entry.cluster_id, project_id=entry.project_id,
            kind=entry.kind_at(now, _last_full(tx, entry)),
            store=entry.store,
        )
    )  # fmt: skip
    store(tx, entry.id, last_at=entry.next_at, last_operation_id=operation_id, last_backup_id=backup_id, said_at=now,
          last_outcome=Outcome.RUNNING, last_message="", **_following(entry, now))  # fmt: skip
    tell(tx, entry.id)


def _last_full(tx: Tx, entry: Schedule) -> datetime | None:
    """When the newest full backup of a schedule was begun, of those that are whole and those that are being made."""
    mine = (backups.c.cluster_id == entry.cluster_id, backups.c.schedule_id == entry.id, backups.c.kind == FULL)
    there = backups.c.state.in_((RUNNING, COMPLETED))
    return tx.connection.execute(select(func.max(backups.c.begun_at)).where(*mine, there)).scalar_one_or_none()


def _following(entry: Schedule, now: datetime) -> dict[str, Any]:
    """A schedule's next time; one that has none any more is switched off, so that it holds up no other."""
    try:
        return {"next_at": next_time(entry, entry.id, now)}
    except Invalid as error:
        log.error(
            "schedule %s of cluster %s has no next time and is switched off: %s", entry.id, entry.cluster_id, error
        )
        return {"enabled": False}


def say_again(database: Database) -> int:
    """Announce once more what nobody has answered, due or expired, for the broker may have lost it; returns how many."""
    due = _say_again(database, schedules, lambda row: (row.last_operation_id, row.last_at))
    return due + _say_again(database, backups, lambda row: (row.operation_id, row.expired_at))


def _say_again(database: Database, table: Table, said: Callable[[Row[Any]], tuple[str, datetime]]) -> int:
    now = database.clock.now()
    query, before = _unanswered(table), now - FIRST_PAUSE
    if not _any(database, query, before=before):
        return 0
    number = 0
    with database.write() as tx:
        locked = query.with_for_update(skip_locked=True)
        for row in tx.connection.execute(locked, {"before": before, "limit": BATCH}).all():
            operation_id, since = said(row)
            if now - since > GIVEN_UP:
                log.error(
                    "nobody has answered to what was said of the backups of cluster %s at %s", row.cluster_id, since
                )
                _said(tx, table, row, None)
            elif row.said_at <= now - pause_at(now - since, FIRST_PAUSE, LONGEST_PAUSE):
                number += tx.repeat(operation_id)
                _said(tx, table, row, now)
    return number


def ended(tx: Tx, event: BackupCompleted | BackupFailed) -> Schedule | None:
    """What was announced has come to an end: it need not be said again. Returns the schedule whose last run that was."""
    mine = schedules.c.last_operation_id == event.operation_id
    row = tx.connection.execute(select(schedules).where(mine).with_for_update()).first()
    if row is None:
        return None
    outcome, message = Outcome.COMPLETED, ""
    if isinstance(event, BackupCompleted):
        message = event.message
    if isinstance(event, BackupFailed):
        outcome, message = (Outcome.CANCELLED if event.cancelled else Outcome.FAILED), event.problem.message
    store(tx, row.id, said_at=None, last_outcome=outcome, last_message=message)
    tell(tx, row.id)
    return Schedule(**row._mapping)


def _any(database: Database, query: Select[Any], **values: Any) -> bool:
    """Whether there is something to do: nearly always there is not, and a look costs less than a transaction that writes."""
    with database.read() as connection:
        return connection.execute(query, {**values, "limit": 1}).first() is not None


def _said(tx: Tx, table: Table, row: Row[Any], at: datetime | None) -> None:
    tx.connection.execute(update(table).where(table.c.id == row.id).values(said_at=at))
