"""Who looks at which cluster, in SQL: leases that replicas of the service share the work by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, or_, select, update

from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.record import Record
from services.datastore_agentless.store import catalogue, clusters, health, tables
from shared.db import Tx
from shared.db.types import UtcDateTime

_NOW = bindparam("now", type_=UtcDateTime)


@dataclass(frozen=True)
class Watched:
    """A cluster to look at: its nodes that are ready, and what is held of them by their ids.

    `announced` is what was said to be wrong with it.
    """

    cluster: Cluster
    nodes: tuple[Instance, ...]
    primary: Instance | None
    datastore: Datastore
    before: Mapping[str, Record] = field(default_factory=dict)
    announced: str = ""


def enrol(tx: Tx, spread: Mapping[str, float]) -> None:
    """Have clusters watched from now on, each first so many seconds later."""
    now = tx.database.clock.now()
    for cluster_id in sorted(spread):
        tx.insert_new(tables.watches, cluster_id=cluster_id, due_at=now + timedelta(seconds=spread[cluster_id]), worker="",
                      slow=False, announced="")  # fmt: skip


def unwatched(connection: Connection) -> list[str]:
    """Clusters that serve, and that nobody looks at yet."""
    c, w = tables.clusters, tables.watches
    query = select(c.c.id).outerjoin(w, w.c.cluster_id == c.c.id)
    return list(connection.execute(query.where(c.c.status == ClusterStatus.ACTIVE, w.c.cluster_id.is_(None))).scalars())


def due(connection: Connection, now: datetime, slow: bool, limit: int) -> list[str]:
    """Clusters that are to be looked at now, and that nobody has in his hands; the longest due first."""
    return list(connection.execute(_DUE, {"now": now, "slow": slow, "limit": limit}).scalars())


def claim(tx: Tx, cluster_ids: Collection[str], worker: str, lease: float) -> list[str]:
    """Take those of these clusters that are still to be had; returns which."""
    now = tx.database.clock.now()
    # Rows that a rival has just locked are his: who waited for them would find them taken.
    free = tx.connection.execute(_FREE, {"now": now, "ids": list(cluster_ids)}).scalars().all()
    values = {"now": now, "ids": list(free), "by": worker, "until": now + timedelta(seconds=lease)}
    return list(tx.connection.execute(_CLAIM, values).scalars()) if free else []


def renew(tx: Tx, cluster_ids: Collection[str], worker: str, lease: float) -> None:
    """Lengthen the leases of clusters that a worker still has."""
    until = tx.database.clock.now() + timedelta(seconds=lease)
    for cluster_id in sorted(cluster_ids):
        tx.connection.execute(_RENEW, {"of_cluster": cluster_id, "of_worker": worker, "until": until})


def load(connection: Connection, cluster_ids: Sequence[str]) -> list[Watched]:
    """Those of these clusters that serve, with all that a look needs."""
    w = tables.watches
    query = select(w.c.cluster_id, w.c.announced).where(w.c.cluster_id.in_(cluster_ids))
    announced = {row.cluster_id: row.announced for row in connection.execute(query)}
    held, kinds = health.of_clusters(connection, cluster_ids), dict[str, Datastore]()
    found = []
    for cluster, nodes in clusters.watched(connection, cluster_ids):
        if cluster.datastore_id not in kinds:
            kinds[cluster.datastore_id] = catalogue.datastore(connection, cluster.datastore_id)
        ready = tuple(node for node in nodes if node.status == Status.READY)
        primary = next((node for node in nodes if cluster.leads(node.id)), None)
        found.append(Watched(cluster, ready, primary, kinds[cluster.datastore_id], held.get(cluster.id, {}),
                             announced.get(cluster.id, "")))  # fmt: skip
    return found


def done(tx: Tx, cluster_id: str, worker: str, due_at: datetime, slow: bool) -> bool:
    """Give a cluster back until it is due again; false, and nothing changed, where somebody else has it by now."""
    values = {"of_cluster": cluster_id, "of_worker": worker, "due": due_at, "is_slow": slow}
    return tx.connection.execute(_DONE, values).rowcount == 1


def announce(tx: Tx, cluster_id: str, words: str) -> None:
    """Remember what was said to be wrong with a cluster."""
    w = tables.watches
    tx.connection.execute(update(w).where(w.c.cluster_id == cluster_id).values(announced=words))


def release(tx: Tx, worker: str) -> None:
    """Give back all that a worker has: others may look at once."""
    w = tables.watches
    mine = update(w).where(w.c.worker == worker, w.c.leased_until.is_not(None))
    tx.connection.execute(mine.values(leased_until=None, worker=""))


def forget(tx: Tx, cluster_id: str) -> None:
    """Look at a cluster no more."""
    tx.remove(tables.watches.c.cluster_id, cluster_id)


def _free() -> ColumnElement[bool]:
    w = tables.watches
    return and_(w.c.due_at <= _NOW, or_(w.c.leased_until.is_(None), w.c.leased_until <= _NOW))


def _of_ids() -> ColumnElement[bool]:
    return tables.watches.c.cluster_id.in_(bindparam("ids", expanding=True))


def _mine() -> Any:
    w = tables.watches
    held = (
        w.c.cluster_id == bindparam("of_cluster"),
        w.c.worker == bindparam("of_worker"),
        w.c.leased_until.is_not(None),
    )
    return update(w).where(*held)


# Run several times a second, so put together once.
_DUE = (
    select(tables.watches.c.cluster_id).where(_free(), tables.watches.c.slow == bindparam("slow"))
    .order_by(tables.watches.c.due_at).limit(bindparam("limit"))
)  # fmt: skip
_FREE = select(tables.watches.c.cluster_id).where(_of_ids(), _free()).with_for_update(skip_locked=True)
_CLAIM = (
    update(tables.watches).where(_of_ids(), _free())
    .values(worker=bindparam("by"), leased_until=bindparam("until", type_=UtcDateTime)).returning(tables.watches.c.cluster_id)
)  # fmt: skip
_RENEW = _mine().values(leased_until=bindparam("until", type_=UtcDateTime))
_DONE = _mine().values(
    due_at=bindparam("due", type_=UtcDateTime), leased_until=None, worker="", slow=bindparam("is_slow")
)
