"""What a backup can be, how that may change, and into which clusters it fits."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

GB = 2**30


class Status(StrEnum):
    """How a backup stands."""

    REQUESTED = "requested"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"


# A backup fails as well when it could not be removed: nobody knows what is left of it.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.REQUESTED: frozenset((Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.DELETING, Status.DELETED)),
    Status.RUNNING: frozenset((Status.COMPLETED, Status.FAILED, Status.DELETING, Status.DELETED)),
    Status.COMPLETED: frozenset((Status.FAILED, Status.DELETING, Status.DELETED)),
    Status.FAILED: frozenset((Status.REQUESTED, Status.RUNNING, Status.COMPLETED, Status.DELETING, Status.DELETED)),
    Status.DELETING: frozenset((Status.FAILED, Status.DELETED)),
    Status.DELETED: frozenset(),
}
BEING_MADE = (Status.REQUESTED, Status.RUNNING)
# What counts for a project's number of backups.
COUNTED = (*BEING_MADE, Status.COMPLETED, Status.DELETING)


def was_damaged(backup: Any) -> bool:
    """Whether a backup was whole once, and its store was found not to have it any more as it was."""
    return backup.status == Status.FAILED and backup.damaged_at is not None


def in_gb(size_bytes: int) -> int:
    """Whole GB, begun ones counted."""
    return -(-size_bytes // GB)


def too_small(was_gb: int, volume_gb: int | None, disk_gb: int) -> tuple[str, str]:
    """Why what was on disks of `was_gb` has no room: the field, and a sentence about it; two empty texts where it has.

    0 is a disk whose size nobody knows, as that of a server which boots from a volume.
    """
    if volume_gb:
        return (
            ("", "")
            if volume_gb >= was_gb
            else ("volume_gb", f"must be at least {was_gb}, as the backup's cluster had")
        )
    if not was_gb or not disk_gb or disk_gb >= was_gb:
        return "", ""
    words = f"is needed, of {was_gb} or more: the backup's cluster had so many GB, and this flavor's disk has {disk_gb}"
    return "volume_gb", words
