"""Where an import stands, as users are told."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Asked for, under way, there, or not."""

    REQUESTED = "requested"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


UNDER_WAY = (Status.REQUESTED, Status.RUNNING)
# To each status those that a word of datastore_agentless may bring; a retry alone begins a failed one anew.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.REQUESTED: frozenset({Status.RUNNING, Status.COMPLETED, Status.FAILED}),
    Status.RUNNING: frozenset({Status.RUNNING, Status.COMPLETED, Status.FAILED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
}
