"""A day of numbers of each node, in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from services.datastore_agentless.domain.record import Record
from services.datastore_agentless.domain.samples import KEPT, Sample, measured, place
from services.datastore_agentless.store import tables
from shared.db import Database, Tx

_s = tables.samples


def keep(tx: Tx, records: Sequence[Record], now: datetime) -> None:
    """Put what was seen of nodes into their places, where something was; what was there a day ago goes."""
    rows = [
        {"id": f"{one.instance_id}:{place(now)}", "instance_id": one.instance_id, "cluster_id": one.cluster_id, "at": now,
         "measured": found}
        for one in sorted(records, key=lambda one: one.instance_id) if (found := measured(one.facts, one.numbers))
    ]  # fmt: skip
    if rows:
        tx.connection.execute(delete(_s).where(_s.c.id.in_([row["id"] for row in rows])))
        tx.connection.execute(insert(_s), rows)


def of_cluster(connection: Connection, cluster_id: str, now: datetime) -> list[list[Sample]]:
    """The last day of each node, each in order."""
    query = select(_s).where(_s.c.cluster_id == cluster_id, _s.c.at > now - KEPT).order_by(_s.c.at)
    found: dict[str, list[Sample]] = defaultdict(list)
    for row in connection.execute(query):
        found[row.instance_id].append(Sample(row.instance_id, row.at, row.measured))
    return [found[one] for one in sorted(found)]


def forget_old(database: Database) -> int:
    """Drop what is more than a day old, as nodes leave it that are gone; returns how much."""
    return database.forget(_s, _s.c.id, _s.c.at <= database.clock.now() - KEPT)
