"""The archive of a cluster's log: how far it goes, and the runs of pieces that it consists of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.datastore_agentless.domain.backup import Backup, State


@dataclass
class Archive:
    """What is held of one cluster. `until`: all that was acknowledged by then is safe, in one chain with a backup.

    `begun` says which server of an instance, by its id, has a spool. `broken_at` is when a hole was found that no full backup has
    been begun after; `trouble` a sentence on why the archive is not as it should be, empty where it is; `renewed_at` when DTrove
    has last asked for a full backup by itself; `stale` whether a cluster that serves would lose more than it should. `epoch` counts who has
    worked on it. `history` is which data it is of, as the cluster has it.
    """

    cluster_id: str
    project_id: str
    epoch: int = 0
    begun: dict[str, str] = field(default_factory=dict)
    until: datetime | None = None
    broken_at: datetime | None = None
    trouble: str = ""
    renewed_at: datetime | None = None
    stale: bool = False
    history: str = ""


@dataclass
class LogRun:
    """Pieces `first` to `last` of a line, as one node has written them, in the store under `key`; none is younger than `at`.

    `joined` is false where a hole comes before it. `manifest` is what lies beside it. `begins` and `ends` are how far the engine's
    history had come at either end, in its own words; empty where numbers tell. `history` is which data of the cluster it is of.
    """

    key: str
    cluster_id: str
    instance_id: str
    line: str
    first: int
    last: int
    at: datetime
    store: str
    joined: bool
    stored_bytes: int
    manifest: dict[str, Any] = field(default_factory=dict)
    begins: str = ""
    ends: str = ""
    history: str = ""


@dataclass(frozen=True)
class Stretch:
    """Pieces `first` to `last` of a line without a hole, as one node has written them; none is younger than `at`.

    `begins` and `ends` as of its first and of its last run.
    """

    instance_id: str
    line: str
    first: int
    last: int
    at: datetime
    begins: str = ""
    ends: str = ""


def bases(found: Iterable[Backup], history: str) -> list[Backup]:
    """The full backups of these data that a log can build upon, or that are being made; the oldest first. A manager's own are not among them."""
    there = [
        one for one in found if one.key and one.state in (State.MAKING, State.COMPLETED) and one.history == history
    ]
    return sorted(there, key=lambda one: one.created_at)


def mended(archive: Archive, based_on: Iterable[Backup]) -> bool:
    """Whether a full backup is whole that was begun after the hole was found."""
    broken = archive.broken_at
    return broken is not None and any(one.state == State.COMPLETED and one.created_at > broken for one in based_on)
