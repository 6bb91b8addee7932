"""What datastore_agentless announces of the logs that it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.base import Event, event


@dataclass(frozen=True, kw_only=True)
class LogChain:
    """Full backups from which a log goes on without a hole, and until when: any moment between the end of one and that can be restored."""

    until: datetime
    backups: tuple[str, ...]


@event("archive.seen", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ArchiveSeen(Event):
    """How far the log of a cluster is kept, each time that this has changed.

    With `ended` it is kept no more.
    """

    cluster_id: str
    project_id: str
    until: datetime | None = None
    broken_at: datetime | None = None
    trouble: str = ""
    chains: tuple[LogChain, ...] = ()
    stale: bool = False
    ended: bool = False


@event("archive.broken", publisher="datastore_agentless")
@dataclass(frozen=True, kw_only=True)
class ArchiveBroken(Event):
    """A hole was found in the log of a cluster: what was acknowledged after it can be restored once there is a new full backup."""

    cluster_id: str
    project_id: str
    until: datetime | None = None
