"""The scheduler's use cases: keep schedules, and announce what is due, each time once."""

from __future__ import annotations

from datetime import datetime
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadCronError, croniter
from sqlalchemy import delete, insert, select, update

from services.scheduler.domain.schedule import Schedule
from services.scheduler.store.tables import schedules
from shared.contracts.base import new_id
from shared.contracts.datastore_agentless import ClusterDeleted
from shared.contracts.scheduler import BackupDue
from shared.db import Database
from shared.errors import FieldError, Invalid, NotFound

BATCH = 100


def next_time(cron: str, timezone: str, after: datetime) -> datetime:
    """The first time after `after` that `cron` names in `timezone`. Raises Invalid for a bad expression or zone."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Invalid("unknown time zone", (FieldError("timezone", f"{timezone!r} is no IANA time zone"),)) from error
    try:
        moment: datetime = croniter(cron, after.astimezone(zone)).get_next(datetime)
    except (CroniterBadCronError, ValueError) as error:
        raise Invalid("unknown cron expression", (FieldError("cron", str(error)),)) from error
    return moment.astimezone(after.tzinfo)


def add(database: Database, cluster_id: str, project_id: str, cron: str, timezone: str, kind: str) -> Schedule:
    """Store a schedule. Raises Invalid."""
    entry = Schedule(
        id=new_id(), cluster_id=cluster_id, project_id=project_id, cron=cron, timezone=timezone, kind=kind,
        next_at=next_time(cron, timezone, database.clock.now()),
    )  # fmt: skip
    with database.write() as tx:
        tx.connection.execute(insert(schedules).values(**vars(entry)))
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
            following = next_time(entry.cron, entry.timezone, now)
            tx.connection.execute(update(schedules).where(schedules.c.id == entry.id).values(next_at=following))
    return len(due)
