"""Operations that are open and of which nobody has spoken for long."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, func, select

from services.api.actions.operations import RUNNING
from services.api.domain.seen import Stuck
from services.api.store import tables
from shared.contracts.operations import moment_of, sequence_at
from shared.db import Database

AT_MOST = 200


def find(connection: Connection, database: Database, after: float) -> tuple[Stuck, ...]:
    """The operations that have been silent for `after` seconds or more, the oldest first."""
    o, s, c = tables.operations, tables.operation_steps, tables.clusters
    now = database.clock.now()
    since = now - timedelta(seconds=after)
    last = (
        select(s.c.operation_id, func.max(s.c.sequence).label("sequence")).group_by(s.c.operation_id)
        .where(s.c.operation_id.in_(select(o.c.id).where(o.c.status.in_(RUNNING)))).subquery()
    )  # fmt: skip
    query = (
        select(o.c.id, o.c.kind, o.c.created_at, c.c.name.label("cluster"), o.c.cluster_id, s.c.sequence, s.c.step,
               s.c.service, s.c.host, s.c.message)
        .outerjoin(last, last.c.operation_id == o.c.id)
        .outerjoin(s, (s.c.operation_id == last.c.operation_id) & (s.c.sequence == last.c.sequence))
        .outerjoin(c, c.c.id == o.c.cluster_id)
        .where(o.c.status.in_(RUNNING), o.c.created_at <= since)
        .where(func.coalesce(last.c.sequence, 0) <= sequence_at(since))
        .order_by(o.c.created_at).limit(AT_MOST)
    )  # fmt: skip
    found: dict[str, Stuck] = {}
    for row in connection.execute(query):
        spoken_at = max(row.created_at, moment_of(row.sequence)) if row.sequence else row.created_at
        found.setdefault(row.id, Stuck(
            id=row.id, kind=row.kind, cluster=row.cluster or row.cluster_id, seconds=(now - spoken_at).total_seconds(),
            step=row.step or "", service=row.service or "", host=row.host or "", message=row.message or "",
        ))  # fmt: skip
    return tuple(found.values())
