"""The health of a cluster as users are shown it: how each node was, and how long ago that was seen."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from services.api.store import tables
from services.api.store.views import node, stamp
from shared.contracts.verdicts import Verdict, rank

HISTORY_SHOWN = 200


def of_cluster(connection: Connection, cluster: Row[Any], now: datetime) -> dict[str, Any] | None:
    """The cluster's verdict is that of its worst node, its age that of the oldest look; None while nothing was seen."""
    h, i = tables.health, tables.instances
    columns = (h.c.verdict, h.c.message.label("words"), h.c.since, h.c.seen_at, h.c.evidence, h.c.facts)
    query = select(i, *columns).join(h, h.c.instance_id == i.c.id)
    rows = connection.execute(
        query.where(i.c.cluster_id == cluster.id, i.c.status != "deleted").order_by(i.c.name)
    ).all()
    if not rows:
        return None
    worst = max(rows, key=lambda row: (rank(row.verdict), row.name))
    oldest = min(row.seen_at for row in rows)
    well = worst.verdict == Verdict.OK
    since = max(row.since for row in rows) if well else worst.since
    return {
        "verdict": worst.verdict, "message": "" if well else worst.words, "since": stamp(since), "seen_at": stamp(oldest),
        "age_seconds": _age(oldest, now), "nodes": [_node(row, cluster.primary_id, now) for row in rows],
    }  # fmt: skip


def history(connection: Connection, cluster_id: str) -> list[dict[str, Any]]:
    """How nodes have changed, the latest first; those of nodes that are gone as well."""
    h, i = tables.health_history, tables.instances
    query = select(h, i.c.name).outerjoin(i, i.c.id == h.c.instance_id).where(h.c.cluster_id == cluster_id)
    return [
        {
            "instance": row.instance_id,
            "name": row.name or "",
            "verdict": row.verdict,
            "message": row.message,
            "at": stamp(row.at),
        }
        for row in connection.execute(query.order_by(h.c.id.desc()).limit(HISTORY_SHOWN))
    ]


def counted(connection: Connection) -> list[tuple[str, int, datetime]]:
    """How many nodes have each verdict, and when the one of them was seen that was seen longest ago."""
    h = tables.health
    query = select(
        h.c.verdict, func.count().label("nodes"), func.min(h.c.seen_at, type_=h.c.seen_at.type).label("oldest")
    )
    return [(row.verdict, row.nodes, row.oldest) for row in connection.execute(query.group_by(h.c.verdict))]


def _node(row: Row[Any], primary_id: str, now: datetime) -> dict[str, Any]:
    return {
        "instance": row.id, "name": row.name, "role": node(row, primary_id)["role"], "verdict": row.verdict,
        "message": row.words, "since": stamp(row.since), "seen_at": stamp(row.seen_at), "age_seconds": _age(row.seen_at, now),
        "evidence": row.evidence, "facts": row.facts,
    }  # fmt: skip


def _age(moment: datetime, now: datetime) -> float:
    return round(max(0.0, (now - moment).total_seconds()), 1)
