"""How nodes are, and how that has changed, in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from services.datastore_agentless.domain.record import Record
from services.datastore_agentless.store import tables
from shared.db import Database, Tx

HISTORY_DAYS, HISTORY_KEPT = 30, 1000


def of_clusters(connection: Connection, cluster_ids: Collection[str]) -> dict[str, dict[str, Record]]:
    """What is held of clusters' nodes: by the cluster's id, then by the instance's."""
    found: dict[str, dict[str, Record]] = defaultdict(dict)
    for row in connection.execute(_OF_CLUSTERS, {"of_clusters": list(cluster_ids)}):
        found[row.cluster_id][row.instance_id] = Record(**row._mapping)
    return found


def save(tx: Tx, records: Sequence[Record]) -> None:
    """Store what is held of nodes that were known before; one that was forgotten meanwhile stays so."""
    if records:
        tx.connection.execute(_CHANGE, [{"of_id": one.instance_id, **_columns(one)} for one in _in_order(records)])


def add(tx: Tx, records: Sequence[Record]) -> None:
    """Store what was seen of nodes at the first look."""
    for record in _in_order(records):
        tx.insert_new(tables.health, **_columns(record))


def remember(tx: Tx, records: Sequence[Record]) -> None:
    """Put verdicts that are new into the history."""
    for one in _in_order(records):
        tx.connection.execute(
            insert(tables.health_history).values(
                instance_id=one.instance_id,
                cluster_id=one.cluster_id,
                verdict=one.verdict,
                message=one.message,
                at=one.since,
            )
        )


def forget_nodes(tx: Tx, instance_ids: Collection[str]) -> None:
    """Hold nothing of nodes that are gone; what they were remains in the history of their cluster."""
    tx.connection.execute(_FORGET_NODES, {"of_ids": list(instance_ids)})


def forget_cluster(tx: Tx, cluster_id: str) -> None:
    """Hold nothing of a cluster, its history included."""
    for table in (tables.health, tables.health_history, tables.samples):
        tx.remove(table.c.cluster_id, cluster_id)


def forget_old(database: Database) -> int:
    """Drop what is older than a month of the history, and of each cluster all but the newest thousand; returns how much."""
    t = tables.health_history
    gone = database.forget(t, t.c.id, t.c.at < database.clock.now() - timedelta(days=HISTORY_DAYS))
    counted = select(t.c.cluster_id).group_by(t.c.cluster_id).having(func.count() > HISTORY_KEPT)
    with database.read() as connection:
        crowded = list(connection.execute(counted).scalars())
        limits = {one: connection.execute(_nth_newest(one)).scalar_one() for one in crowded}
    return gone + sum(
        database.forget(t, t.c.id, (t.c.cluster_id == one) & (t.c.id < least)) for one, least in limits.items()
    )


def _columns(record: Record) -> dict[str, Any]:
    """What is stored of it: numbers are worth nothing by the next look."""
    return {name: value for name, value in vars(record).items() if name != "numbers"}


def _nth_newest(cluster_id: str) -> Any:
    t = tables.health_history
    return select(t.c.id).where(t.c.cluster_id == cluster_id).order_by(t.c.id.desc()).offset(HISTORY_KEPT - 1).limit(1)


def _in_order(records: Sequence[Record]) -> list[Record]:
    """Two transactions that lock several rows do so in the same order."""
    return sorted(records, key=lambda one: one.instance_id)


_OF_CLUSTERS = select(tables.health).where(tables.health.c.cluster_id.in_(bindparam("of_clusters", expanding=True)))
_CHANGE = update(tables.health).where(tables.health.c.instance_id == bindparam("of_id"))
_FORGET_NODES = delete(tables.health).where(tables.health.c.instance_id.in_(bindparam("of_ids", expanding=True)))
