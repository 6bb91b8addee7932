"""How a backup schedule is described wherever it is spoken of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.contracts.backups import FULL

# A full backup each week, and what has changed in between.
FULL_DAYS = 7


class Outcome(StrEnum):
    """What became of a run."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class Retention:
    """A backup is kept as long as it is among the last `count`, or no older than `days`; with neither for ever."""

    count: int | None = None
    days: int | None = None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a user has chosen of a schedule. With `verify_days` its newest backup is proved by a restore whenever so many days have passed.

    Of `kind` incremental, one is a full one whenever the last full one is `full_days` old.
    """

    cron: str
    timezone: str = "UTC"
    kind: str = FULL
    store: str = ""
    retention: Retention = Retention()
    enabled: bool = True
    verify_days: int | None = None
    full_days: int = FULL_DAYS


@dataclass(frozen=True, kw_only=True)
class ScheduleRun:
    """A time at which a schedule was due, and what became of it."""

    due_at: datetime
    backup_id: str
    operation_id: str
    outcome: str
    message: str = ""
