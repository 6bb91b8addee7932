"""Schedules as they are wished for: made, changed, paused, removed; and what is told of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select, update

from services.scheduler.actions.clusters import find
from services.scheduler.domain.schedule import KINDS, Schedule
from services.scheduler.store.tables import schedules
from shared import cron
from shared.contracts.api import ScheduleRemoveRequested, ScheduleRequested
from shared.contracts.base import new_id
from shared.contracts.scheduler import ScheduleRemoved, ScheduleSet
from shared.contracts.schedules import Terms
from shared.db import Database, Tx
from shared.errors import FieldError, Invalid, NotFound

# Each change asks these, and each run of a schedule: they are put together once.
_BY_ID = select(schedules).where(schedules.c.id == bindparam("of_id"))
_LOCKED = _BY_ID.with_for_update()
_CHANGE = update(schedules).where(schedules.c.id == bindparam("of_id"))
_COUNT = _CHANGE.values(sequence=schedules.c.sequence + 1)


def add(
    database: Database, cluster_id: str, project_id: str, cron: str, timezone: str, kind: str, schedule_id: str = ""
) -> Schedule:
    """Store a schedule that keeps all it makes; the same `schedule_id` again changes nothing. Raises Invalid."""
    terms = Terms(cron=cron, timezone=timezone, kind=kind)
    entry = made(schedule_id or new_id(), (cluster_id, project_id), terms, database.clock.now())
    with database.write() as tx:
        if put(tx, entry):
            return entry
        row = _locked(tx, entry.id)
        assert row is not None
        return Schedule(**row._mapping)


def made(schedule_id: str, owner: tuple[str, str], terms: Terms, after: datetime, version: int = 0) -> Schedule:
    """A schedule of a cluster (its id, and its project's) that runs for the first time after `after`. Raises Invalid."""
    if terms.kind not in KINDS:
        raise Invalid("unknown kind of backup", (FieldError("kind", f"must be one of {', '.join(KINDS)}"),))
    cluster_id, project_id = owner
    return Schedule(id=schedule_id, cluster_id=cluster_id, project_id=project_id, version=version,
                    next_at=next_time(terms, schedule_id, after), **_columns(terms))  # fmt: skip


def next_time(terms: Terms | Schedule, schedule_id: str, after: datetime) -> datetime:
    """When a schedule is due for the first time after `after`. Raises Invalid for a bad expression or zone."""
    return cron.due_after(cron.read(terms.cron, terms.timezone), schedule_id, after)


def put(tx: Tx, entry: Schedule) -> bool:
    """Store a new schedule and tell of it; false where one of this id is there, or was."""
    is_new = tx.insert_new(schedules, **vars(entry))
    if is_new:
        tell(tx, entry.id)
    return is_new


def want(database: Database, event: ScheduleRequested) -> None:
    """Have a schedule be as a user wishes. What is past when it changes is not made up for.

    A wish that an older one has overtaken changes nothing; either is answered. Raises Invalid.
    """
    now = database.clock.now()
    fresh = made(event.schedule_id, (event.cluster_id, event.project_id), event.terms, now, event.version)
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "want"):
            return
        owner = find(tx, event.cluster_id, event.project_id)
        if owner.deleted_at is not None:
            tx.emit(_removal(fresh))
        elif not put(tx, fresh):
            _change(tx, event, fresh)


def _change(tx: Tx, event: ScheduleRequested, fresh: Schedule) -> None:
    row = _locked(tx, event.schedule_id)
    assert row is not None
    before = Schedule(**row._mapping)
    if before.removed_at is not None:
        tx.emit(_removal(before))
        return
    if before.version < event.version:
        same = (before.cron, before.timezone, before.enabled) == (fresh.cron, fresh.timezone, fresh.enabled)
        moved = {} if same else {"next_at": fresh.next_at}
        store(tx, before.id, version=event.version, **_columns(event.terms), **moved)
    tell(tx, before.id)


def unwant(database: Database, event: ScheduleRemoveRequested) -> None:
    """Remove a schedule, as a user wishes; one that was never heard of is never made either."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "unwant"):
            return
        if row := _locked(tx, event.schedule_id):
            _remove(tx, Schedule(**row._mapping), event.version)
            return
        now = tx.database.clock.now()
        gone = Schedule(id=event.schedule_id, cluster_id=event.cluster_id, project_id=event.project_id, cron="",
                        next_at=now, enabled=False, version=event.version, removed_at=now)  # fmt: skip
        tx.insert_new(schedules, **vars(gone))
        tx.emit(_removal(gone))


def remove(database: Database, schedule_id: str) -> None:
    """Remove a schedule. Raises NotFound."""
    with database.write() as tx:
        row = _locked(tx, schedule_id)
        if row is None or row.removed_at is not None:
            raise NotFound(f"there is no schedule {schedule_id}")
        _remove(tx, Schedule(**row._mapping), row.version)


def remove_all(tx: Tx, cluster_id: str) -> None:
    """Remove the schedules of a cluster that is gone."""
    mine = (schedules.c.cluster_id == cluster_id, schedules.c.removed_at.is_(None))
    for row in tx.connection.execute(select(schedules).where(*mine).with_for_update()).all():
        _remove(tx, Schedule(**row._mapping), row.version)


def of_cluster(database: Database, cluster_id: str) -> list[Schedule]:
    """A cluster's schedules."""
    with database.read() as connection:
        mine = (schedules.c.cluster_id == cluster_id, schedules.c.removed_at.is_(None))
        return [Schedule(**row._mapping) for row in connection.execute(select(schedules).where(*mine))]


def tell(tx: Tx, schedule_id: str) -> None:
    """Say how a schedule is by now, unless it is no more."""
    tx.connection.execute(_COUNT, {"of_id": schedule_id})
    entry = Schedule(**tx.connection.execute(_BY_ID, {"of_id": schedule_id}).one()._mapping)
    if entry.removed_at is None:
        tx.emit(
            ScheduleSet(schedule_id=entry.id, cluster_id=entry.cluster_id, project_id=entry.project_id, terms=entry.terms,
                        version=entry.version, sequence=entry.sequence, last=entry.last,
                        next_at=entry.next_at if entry.enabled else None)
        )  # fmt: skip


def store(tx: Tx, schedule_id: str, **values: Any) -> None:
    """Change a schedule's row."""
    tx.connection.execute(_CHANGE, {"of_id": schedule_id, **values})


def _remove(tx: Tx, entry: Schedule, version: int) -> None:
    entry.version = max(entry.version, version)
    if entry.removed_at is None:
        now = tx.database.clock.now()
        store(tx, entry.id, removed_at=now, enabled=False, said_at=None, version=entry.version)
    tx.emit(_removal(entry))


def _removal(entry: Schedule) -> ScheduleRemoved:
    return ScheduleRemoved(
        schedule_id=entry.id, cluster_id=entry.cluster_id, project_id=entry.project_id, version=entry.version
    )


def _columns(terms: Terms) -> dict[str, Any]:
    return {"cron": terms.cron, "timezone": terms.timezone, "kind": terms.kind, "store": terms.store,
            "keep_count": terms.retention.count, "keep_days": terms.retention.days, "enabled": terms.enabled,
            "verify_days": terms.verify_days, "full_days": terms.full_days}  # fmt: skip


def _locked(tx: Tx, schedule_id: str) -> Row[Any] | None:
    return tx.connection.execute(_LOCKED, {"of_id": schedule_id}).first()
