"""How far the logs of clusters are kept, and which moments can be restored for it, as users are shown them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from services.api.domain.backups import Status
from services.api.store import tables
from services.api.store.views import stamp

_a, _b = tables.archives, tables.backups


@dataclass(frozen=True)
class Base:
    """A full backup that a log goes on from: any moment from `since`, when it had ended, to `until` can be restored."""

    backup_id: str
    since: datetime
    until: datetime


def of_cluster(connection: Connection, cluster_id: str) -> dict[str, Any] | None:
    """What was heard last; None where no log is kept."""
    row = connection.execute(select(_a).where(_a.c.cluster_id == cluster_id, _a.c.ended.is_(False))).first()
    if row is None:
        return None
    return {
        "until": stamp(row.until),
        "broken_at": stamp(row.broken_at),
        "trouble": row.trouble,
        "stale": row.stale,
        "seen_at": stamp(row.said_at),
    }


def ends(connection: Connection, cluster_ids: Collection[str]) -> dict[str, datetime]:
    """Until when the log goes on from each backup of these clusters that it goes on from at all."""
    query = select(_a.c.chains).where(_a.c.cluster_id.in_(cluster_ids), _a.c.ended.is_(False))
    chains = [chain for kept in connection.execute(query).scalars() for chain in kept or ()]
    return {backup: datetime.fromisoformat(chain["until"]) for chain in chains for backup in chain["backups"]}


def bases(connection: Connection, cluster_id: str) -> list[Base]:
    """The backups of a cluster that moments after them can be restored from, the oldest first."""
    until = ends(connection, (cluster_id,))
    query = select(_b.c.id, _b.c.facts).where(_b.c.cluster_id == cluster_id, _b.c.status == Status.COMPLETED)
    found = []
    for row in connection.execute(query):
        ended = (row.facts or {}).get("ended_at")
        if ended and row.id in until and datetime.fromisoformat(ended) <= until[row.id]:
            found.append(Base(row.id, datetime.fromisoformat(ended), until[row.id]))
    return sorted(found, key=lambda one: one.since)


def windows(there: Collection[Base]) -> list[tuple[datetime, datetime]]:
    """The moments that can be restored, from when to when each time, in order; what is between is lost."""
    found = list[tuple[datetime, datetime]]()
    for one in there:
        if found and one.since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], one.until))
        else:
            found.append((one.since, one.until))
    return found


def restorable(connection: Connection, cluster_id: str) -> dict[str, Any] | None:
    """Which moments of a cluster can be restored; None where it is none but those of its backups."""
    there = windows(bases(connection, cluster_id))
    if not there:
        return None
    return {"earliest": stamp(there[0][0]), "latest": stamp(there[-1][1]),
            "windows": [{"since": stamp(since), "until": stamp(until)} for since, until in there]}  # fmt: skip
