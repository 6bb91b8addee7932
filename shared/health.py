"""How things are judged, by the API for the whole and by the command line for its machine: the same words and limits."""

from __future__ import annotations

OK, WARNING, FAILED = "ok", "warning", "failed"
# From good to bad.
STATUSES = (OK, WARNING, FAILED)
DISK_WARNING, DISK_FAILED = 2 * 1024**3, 256 * 1024**2
MAKE_ROOM = "make room: see `logs`, `images` and old files in DTROVE_HOME, or move it to a larger disk"


def status_of_disk(free_bytes: int) -> str:
    """Whether so much room will do."""
    if free_bytes >= DISK_WARNING:
        return OK
    return FAILED if free_bytes < DISK_FAILED else WARNING


def room(free_bytes: int) -> str:
    """So much room, as a person reads it."""
    return f"{free_bytes / 1024**3:.1f} GB"
