"""What any service may announce of an operation: that it has begun, how far it has come, what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.contracts.base import Event, event
from shared.contracts.values import Problem


def sequence_at(moment: datetime) -> int:
    """The sequence of a report that is made at a moment: its microsecond since 1970, which grows over workers as well."""
    return int(moment.timestamp() * 1_000_000)


def moment_of(sequence: int) -> datetime:
    """When a report with this sequence was made."""
    return datetime.fromtimestamp(sequence / 1_000_000, UTC)


@event("operation.progressed", publisher="*", lasting=False)
@dataclass(frozen=True, kw_only=True)
class OperationProgressed(Event):
    """A step of an operation moved.

    `status` is running, waiting, retrying, succeeded, failed or cancelled and speaks of the step. `sequence` grows with
    every report of one task, so that an older report never overwrites a newer one. `stderr` holds the last lines
    of a command that failed; `output` a piece of what a command printed, for streaming.
    """

    operation_id: str
    cluster_id: str
    service: str
    kind: str
    step: str
    status: str
    sequence: int
    host: str = ""
    percent: int | None = None
    message: str = ""
    stderr: str = ""
    output: str = ""


@event("operation.begun", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class OperationBegun(Event):
    """DTrove does something of itself, which nobody has asked for over the API: it records the operation now."""

    operation_id: str
    cluster_id: str
    project_id: str
    kind: str
    message: str = ""


@event("operation.ended", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class OperationEnded(Event):
    """An operation has come to its end; `result` is what the user is shown of it, as JSON, the evidence among it."""

    operation_id: str
    cluster_id: str
    status: str
    problem: Problem | None = None
    result: dict[str, Any] = field(default_factory=dict)
