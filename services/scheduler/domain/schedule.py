"""A schedule: when a cluster's backups are due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass
class Schedule:
    """`cron` is five fields in `timezone`; `next_at` is the next time, in UTC; `kind` is full or incremental.

    `last_at` is the last time that was announced, as `last_operation_id`; `said_at` is when that was said last, and None
    once it was answered.
    """

    id: str
    cluster_id: str
    project_id: str
    cron: str
    next_at: datetime
    timezone: str = "UTC"
    kind: str = "full"
    enabled: bool = True
    last_at: datetime | None = None
    last_operation_id: str = ""
    said_at: datetime | None = None
