"""What is heard of the health of nodes, and what a cluster's status follows from.

Of each node the newest word counts. A cluster that serves is `degraded` while one of its nodes is not well: whatever order
the words come in, the last of them leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from services.api.store import tables
from services.api.store.views import stamp
from shared.contracts import datastore_agentless as databases
from shared.contracts.values import NodeHealth
from shared.contracts.verdicts import Verdict, rank
from shared.db import Database, Tx
from shared.db.types import UtcDateTime

HISTORY_DAYS = 30
_UNWATCHED = ("stopped", "deleting", "deleted")
# Asked whenever a cluster's nodes come, change or go: they are put together once.
_a, _c, _h, _i = tables.archives, tables.clusters, tables.health, tables.instances
_ILL = (
    select(_h.c.verdict, _h.c.message).join(_i, _i.c.id == _h.c.instance_id)
    .where(_i.c.cluster_id == bindparam("of_cluster"), _i.c.status.not_in(_UNWATCHED), _h.c.verdict != Verdict.OK)
)  # fmt: skip
_STALE = select(_a).where(_a.c.cluster_id == bindparam("of_cluster"), _a.c.stale.is_(True))
_HERE = update(_c).where(_c.c.id == bindparam("of_id"))
_DEGRADE = _HERE.where(_c.c.status.in_(("active", "degraded"))).values(status="degraded")
_RESTORE = _HERE.where(_c.c.status == "degraded").values(status="active", message="")
_FORGET_NODES = delete(_h).where(_h.c.instance_id.in_(bindparam("of_ids", expanding=True)))


def seen(tx: Tx, event: databases.HealthSeen) -> None:
    """Nodes were looked at."""
    said = {node.instance_id: node for node in event.nodes}
    i, h = tables.instances, tables.health
    there = set(tx.connection.execute(select(i.c.id).where(i.c.id.in_(said), i.c.status.not_in(_UNWATCHED))).scalars())
    before = {row.instance_id: row for row in tx.connection.execute(select(h).where(h.c.instance_id.in_(said)))}
    fresh = [
        said[one] for one in sorted(there) if one not in before or before[one].seen_at < _moment(said[one].seen_at)
    ]
    changed = [one for one in fresh if one.instance_id not in before or before[one.instance_id].verdict != one.verdict]
    # Clusters first, as everybody does who locks several rows.
    clusters = sorted({one.cluster_id for one in changed})
    for cluster_id in clusters:
        _lock(tx, cluster_id)
    known = [
        _values(one) | {"of_id": one.instance_id, "new_at": _moment(one.seen_at)}
        for one in fresh
        if one.instance_id in before
    ]
    if known:
        tx.connection.execute(_NEWER, known)
    for one in fresh:
        if one.instance_id not in before:
            tx.insert_new(h, **_values(one))
    for one in changed:
        _remember(tx, one.instance_id, one.cluster_id, one.verdict, one.message, _moment(one.since))
    for cluster_id in clusters:
        settle(tx, cluster_id)


def degraded(tx: Tx, event: databases.ClusterDegraded) -> None:
    """A node is not well. How it was seen comes apart from this, before or after."""
    i, h, at = tables.instances, tables.health, event.occurred_at
    there = (i.c.id == event.instance_id, i.c.cluster_id == event.cluster_id, i.c.status.not_in(_UNWATCHED))
    if tx.connection.execute(select(i.c.id).where(*there)).first() is None:
        return
    values = {"verdict": event.verdict, "message": event.message, "since": at}
    new = tx.insert_new(h, instance_id=event.instance_id, cluster_id=event.cluster_id, evidence={}, facts={},
                        seen_at=at - timedelta(seconds=1), **values)  # fmt: skip
    older = (h.c.instance_id == event.instance_id, h.c.seen_at < at, h.c.verdict != event.verdict)
    if new or tx.connection.execute(update(h).where(*older).values(**values)).rowcount:
        _remember(tx, event.instance_id, event.cluster_id, event.verdict, event.message, at)
    settle(tx, event.cluster_id)


def recovered(tx: Tx, event: databases.ClusterRecovered) -> None:
    """All nodes of a cluster are well again."""
    h, at = tables.health, event.occurred_at
    older = (h.c.cluster_id == event.cluster_id, h.c.seen_at < at, h.c.verdict != Verdict.OK)
    for row in tx.connection.execute(select(h.c.instance_id).where(*older).order_by(h.c.instance_id)).all():
        one = update(h).where(h.c.instance_id == row.instance_id)
        tx.connection.execute(one.values(verdict=str(Verdict.OK), message="", since=at))
        _remember(tx, row.instance_id, event.cluster_id, str(Verdict.OK), "", at)
    settle(tx, event.cluster_id)


def settle(tx: Tx, cluster_id: str) -> None:
    """Have the status of a cluster that serves say whether all its nodes are well, and its log is kept. The caller holds its row."""
    wrong = tx.connection.execute(_ILL, {"of_cluster": cluster_id}).all()
    if wrong:
        cause = max(wrong, key=lambda row: (rank(row.verdict), row.message))
        tx.connection.execute(_DEGRADE, {"of_id": cluster_id, "message": cause.message})
    elif (stale := tx.connection.execute(_STALE, {"of_cluster": cluster_id}).first()) is not None:
        tx.connection.execute(_DEGRADE, {"of_id": cluster_id, "message": _staleness(stale)})
    else:
        tx.connection.execute(_RESTORE, {"of_id": cluster_id})


def forget_nodes(tx: Tx, instance_ids: Collection[str]) -> None:
    """Nodes are gone; what they were stays in the history of their cluster."""
    tx.connection.execute(_FORGET_NODES, {"of_ids": list(instance_ids)})


def forget_before(tx: Tx, cluster_id: str, moment: datetime) -> None:
    """What a cluster's nodes were before they were stopped or started tells nothing of what they are."""
    h = tables.health
    tx.connection.execute(delete(h).where(h.c.cluster_id == cluster_id, h.c.seen_at < moment))


def forget_cluster(tx: Tx, cluster_id: str) -> None:
    """A cluster is gone, and its history with it."""
    for table in (tables.health, tables.health_history):
        tx.remove(table.c.cluster_id, cluster_id)


def forget_old(database: Database) -> int:
    """Drop what is older than a month of the history; returns how much."""
    t = tables.health_history
    return database.forget(t, t.c.id, t.c.at < database.clock.now() - timedelta(days=HISTORY_DAYS))


def _staleness(archive: Row[Any]) -> str:
    """Why a log that is not kept as it should be leaves a cluster less than well."""
    if archive.broken_at is not None:
        return "its log has a hole: what is written now can only be restored once there is a new full backup"
    why = f": {archive.trouble}" if archive.trouble else ""
    return f"its log is kept until {stamp(archive.until)} only{why}"


def _lock(tx: Tx, cluster_id: str) -> None:
    c = tables.clusters
    tx.connection.execute(select(c.c.id).where(c.c.id == cluster_id).with_for_update())


def _remember(tx: Tx, instance_id: str, cluster_id: str, verdict: str, message: str, at: datetime) -> None:
    values = {"instance_id": instance_id, "cluster_id": cluster_id, "verdict": verdict, "message": message, "at": at}
    tx.connection.execute(insert(tables.health_history).values(**values))


def _values(node: NodeHealth) -> dict[str, Any]:
    return {"instance_id": node.instance_id, "cluster_id": node.cluster_id, "verdict": node.verdict, "message": node.message,
            "since": _moment(node.since), "seen_at": _moment(node.seen_at), "evidence": node.evidence,
            "facts": node.facts, "numbers": node.numbers}  # fmt: skip


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _columns(names: Iterable[str]) -> dict[str, Any]:
    return {name: bindparam(name, type_=tables.health.c[name].type) for name in names}


# Of two that come at the same moment, the newer one stays.
_NEWER = (
    update(tables.health)
    .where(
        tables.health.c.instance_id == bindparam("of_id"),
        tables.health.c.seen_at < bindparam("new_at", type_=UtcDateTime),
    )
    .values(
        **_columns(("verdict", "message", "since", "evidence", "facts", "numbers")),
        seen_at=bindparam("new_at", type_=UtcDateTime),
    )
)
