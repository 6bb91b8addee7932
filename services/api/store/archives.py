"""How far the log of a cluster is kept, as users are shown it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from services.api.store import tables
from services.api.store.views import stamp


def of_cluster(connection: Connection, cluster_id: str) -> dict[str, Any] | None:
    """What was heard last; None where no log is kept."""
    a = tables.archives
    row = connection.execute(select(a).where(a.c.cluster_id == cluster_id, a.c.ended.is_(False))).first()
    if row is None:
        return None
    return {
        "until": stamp(row.until),
        "broken_at": stamp(row.broken_at),
        "trouble": row.trouble,
        "seen_at": stamp(row.said_at),
    }
