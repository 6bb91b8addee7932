"""The scheduler's use cases: keep schedules, and announce what is due, each time once."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadCronError, croniter
from sqlalchemy import delete, select, update

from services.scheduler.domain.schedule import Schedule
from services.scheduler.store.tables import schedules
from shared.contracts.base import new_id
from shared.contracts.datastore_agentless import ClusterDeleted
from shared.contracts.scheduler import BackupDue
from shared.db import Database
from shared.errors import FieldError, Invalid, NotFound

BATCH = 100
KINDS = ("full", "incremental")
FIELDS, LONGEST_CRON = 5, 128
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
        if tx.connection.execute(delete(schedules).where(schedules.c.id == schedule_id)).rowcount == 0:
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
            tx.connection.execute(delete(schedules).where(schedules.c.cluster_id == event.cluster_id))


def announce_due(database: Database) -> int:
    """Announce every backup whose time has come and move its schedule on, in one transaction; returns how many.

    Times that passed while the scheduler was down are made up for once, not once each. The ids follow from schedule
    and time, so that two schedulers which race announce the same backup.
    """
    now = database.clock.now()
    with database.write() as tx:
        query = select(schedules).where(schedules.c.enabled, schedules.c.next_at <= now).limit(BATCH)
        due = [Schedule(**row._mapping) for row in tx.connection.execute(query.with_for_update(skip_locked=True))]
        for entry in due:
            name = f"{entry.id}:{entry.next_at.isoformat()}"
            tx.emit(
                BackupDue(
                    event_id=str(uuid5(NAMESPACE_URL, f"due:{name}")), schedule_id=entry.id,
                    backup_id=str(uuid5(NAMESPACE_URL, f"backup:{name}")),
                    operation_id=str(uuid5(NAMESPACE_URL, f"operation:{name}")), cluster_id=entry.cluster_id,
                    project_id=entry.project_id, kind=entry.kind,
                )
            )  # fmt: skip
            tx.connection.execute(update(schedules).where(schedules.c.id == entry.id).values(**_following(entry, now)))
    return len(due)


def _following(entry: Schedule, now: datetime) -> dict[str, Any]:
    """A schedule's next time; one that has none any more is switched off, so that it holds up no other."""
    try:
        return {"next_at": next_time(entry.cron, entry.timezone, now)}
    except Invalid as error:
        log.error(
            "schedule %s of cluster %s has no next time and is switched off: %s", entry.id, entry.cluster_id, error
        )
        return {"enabled": False}
