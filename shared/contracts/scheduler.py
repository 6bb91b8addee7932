"""What the scheduler announces: things whose time has come."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.base import Event, event


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


@event("backup.expired", publisher="scheduler")
@dataclass(frozen=True, kw_only=True)
class BackupExpired(Event):
    """By what its schedule keeps, a backup is to go, and no other builds upon it."""

    schedule_id: str
    backup_id: str
    operation_id: str
    cluster_id: str
    project_id: str
