"""What the scheduler announces: schedules, and things whose time has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.base import Event, event
from shared.contracts.schedules import ScheduleRun, Terms


@event("schedule.set", publisher="scheduler")
@dataclass(frozen=True, kw_only=True)
class ScheduleSet(Event):
    """A schedule is so: said whenever it was made or changed, has run, or its run has ended."""

    schedule_id: str
    cluster_id: str
    project_id: str
    terms: Terms
    version: int
    sequence: int
    next_at: datetime | None = None
    last: ScheduleRun | None = None


@event("schedule.removed", publisher="scheduler")
@dataclass(frozen=True, kw_only=True)
class ScheduleRemoved(Event):
    """A schedule is no more; the backups it has made are kept for as long as it said."""

    schedule_id: str
    cluster_id: str
    project_id: str
    version: int


@event("backup.due", publisher="scheduler")
@dataclass(frozen=True, kw_only=True)
class BackupDue(Event):
    """A cluster's backup is due by its schedule."""

    schedule_id: str
    backup_id: str
    operation_id: str
    cluster_id: str
    project_id: str
    kind: str = "full"
    store: str = ""


@event("verification.due", publisher="scheduler")
@dataclass(frozen=True, kw_only=True)
class VerificationDue(Event):
    """By its schedule a backup that has just been completed is to be proved by a restore."""

    schedule_id: str
    backup_id: str
    cluster_id: str
    project_id: str


@event("backup.expired", publisher="scheduler")
@dataclass(frozen=True, kw_only=True)
class BackupExpired(Event):
    """By what its schedule keeps, a backup is to go, and no other builds upon it."""

    schedule_id: str
    backup_id: str
    operation_id: str
    cluster_id: str
    project_id: str
