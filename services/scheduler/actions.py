"""The scheduler's use cases: keep schedules, and announce what is due, each time once."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadCronError, croniter
from sqlalchemy import Select, select, update

from services.scheduler.domain.schedule import Schedule
from services.scheduler.store.tables import schedules
from shared.contracts.backups import BackupCompleted, BackupFailed
from shared.contracts.base import new_id
from shared.contracts.datastore_agentless import ClusterDeleted
from shared.contracts.scheduler import BackupDue
from shared.db import Database, Tx
from shared.db.outbox import pause_at
from shared.errors import FieldError, Invalid, NotFound

BATCH = 100
KINDS = ("full", "incremental")
FIELDS, LONGEST_CRON = 5, 128
# What nobody has answered is said again after the first pause, then less and less often, and is given up in the end.
FIRST_PAUSE, LONGEST_PAUSE, GIVEN_UP = timedelta(seconds=20), timedelta(minutes=10), timedelta(days=1)
log = logging.getLogger(__name__)


def next_time(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time after `after` that `cron` names in `timezone`. Raises Invalid for a bad expression or zone."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Invalid("unknown time zone", (FieldError("timezone", f"{timezone!r} is no IANA time zone"),)) from error
    if len(cron) > LONGEST_CRON or len(cron.split()) != FIELDS:
        # Six fields would be seconds: a backup every second is nobody's wish.
        words = "must be five fields: minute, hour, day of the month, month, day of the week"
        raise Invalid("unknown cron expression", (FieldError("cron", words),))
    try:
        moment: datetime = croniter(cron, after.astimezone(zone)).get_next(datetime)
    except (CroniterBadCronError, ValueError) as error:
        raise Invalid("unknown cron expression", (FieldError("cron", str(error)),)) from error
    return moment.astimezone(after.tzinfo)


def add(
    database: Database, cluster_id: str, project_id: str, cron: str, timezone: str, kind: str, schedule_id: str = ""
) -> Schedule:
    """Store a schedule; the same `schedule_id` again changes nothing. Raises Invalid."""
    if kind not in KINDS:
        raise Invalid("unknown kind of backup", (FieldError("kind", f"must be one of {', '.join(KINDS)}"),))
    entry = Schedule(
        id=schedule_id or new_id(), cluster_id=cluster_id, project_id=project_id, cron=cron, timezone=timezone,
        kind=kind, next_at=next_time(cron, timezone, database.clock.now()),
    )  # fmt: skip
    with database.write() as tx:
        if not tx.insert_new(schedules, **vars(entry)):
            row = tx.connection.execute(select(schedules).where(schedules.c.id == entry.id)).one()
            return Schedule(**row._mapping)
    return entry


def remove(database: Database, schedule_id: str) -> None:
    """Drop a schedule. Raises NotFound."""
    with database.write() as tx:
        if tx.remove(schedules.c.id, schedule_id) == 0:
            raise NotFound(f"there is no schedule {schedule_id}")


def of_cluster(database: Database, cluster_id: str) -> list[Schedule]:
    """A cluster's schedules."""
    with database.read() as connection:
        rows = connection.execute(select(schedules).where(schedules.c.cluster_id == cluster_id))
        return [Schedule(**row._mapping) for row in rows]


def forget_cluster(database: Database, event: ClusterDeleted) -> None:
    """A deleted cluster needs no backups."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "forget_cluster"):
            tx.remove(schedules.c.cluster_id, event.cluster_id)


def announce_due(database: Database) -> int:
    """Announce every backup whose time has come and move its schedule on, in one transaction; returns how many.

    Times that passed while the scheduler was down are made up for once, not once each. The ids follow from schedule
    and time, so that two schedulers which race announce the same backup.
    """
    now = database.clock.now()
    query = select(schedules).where(schedules.c.enabled, schedules.c.next_at <= now).limit(BATCH)
    if not _any(database, query):
        return 0
    with database.write() as tx:
        due = [Schedule(**row._mapping) for row in tx.connection.execute(query.with_for_update(skip_locked=True))]
        for entry in due:
            name = f"{entry.id}:{entry.next_at.isoformat()}"
            operation_id = str(uuid5(NAMESPACE_URL, f"operation:{name}"))
            tx.emit(
                BackupDue(
                    event_id=str(uuid5(NAMESPACE_URL, f"due:{name}")), schedule_id=entry.id,
                    backup_id=str(uuid5(NAMESPACE_URL, f"backup:{name}")), operation_id=operation_id,
                    cluster_id=entry.cluster_id, project_id=entry.project_id, kind=entry.kind,
                )
            )  # fmt: skip
            values = {"last_at": entry.next_at, "last_operation_id": operation_id, "said_at": now}
            _change(tx, entry.id, **values, **_following(entry, now))
    return len(due)


def say_again(database: Database) -> int:
    """Announce once more what nobody has answered, for the broker may have lost it; returns how many."""
    now = database.clock.now()
    query = select(schedules).where(schedules.c.said_at <= now - FIRST_PAUSE).limit(BATCH)
    if not _any(database, query):
        return 0
    said = 0
    with database.write() as tx:
        for row in tx.connection.execute(query.with_for_update(skip_locked=True)).all():
            age = now - row.last_at
            if age > GIVEN_UP:
                log.error(
                    "nobody has answered to the backup of cluster %s that was due at %s", row.cluster_id, row.last_at
                )
                _change(tx, row.id, said_at=None)
            elif row.said_at <= now - pause_at(age, FIRST_PAUSE, LONGEST_PAUSE):
                said += tx.repeat(row.last_operation_id)
                _change(tx, row.id, said_at=now)
    return said


def answered(database: Database, event: BackupCompleted | BackupFailed) -> None:
    """What was announced has come to an end: it need not be said again."""
    with database.write() as tx:
        mine = schedules.c.last_operation_id == event.operation_id
        tx.connection.execute(update(schedules).where(mine).values(said_at=None))


def _any(database: Database, query: Select[Any]) -> bool:
    """Whether there is something to do: nearly always there is not, and a look costs less than a transaction that writes."""
    with database.read() as connection:
        return connection.execute(query.limit(1)).first() is not None


def _change(tx: Tx, schedule_id: str, **values: Any) -> None:
    tx.connection.execute(update(schedules).where(schedules.c.id == schedule_id).values(**values))


def _following(entry: Schedule, now: datetime) -> dict[str, Any]:
    """A schedule's next time; one that has none any more is switched off, so that it holds up no other."""
    try:
        return {"next_at": next_time(entry.cron, entry.timezone, now)}
    except Invalid as error:
        log.error(
            "schedule %s of cluster %s has no next time and is switched off: %s", entry.id, entry.cluster_id, error
        )
        return {"enabled": False}
