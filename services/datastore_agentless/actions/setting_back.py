"""This service's database is set back to an older copy: nobody looks at a cluster, or mends it, before a person has said so.

What the copy says of a cluster may be long past. Were another node its primary by now, the watch would take the present one
for a replica that writes, and the former one for a primary that was left frozen, which it would have take writes again.
"""

from __future__ import annotations

from sqlalchemy import select, update

from services.datastore_agentless.domain.cluster import Status
from services.datastore_agentless.store import tables
from shared.db import Tx
from shared.db.setting_back import HELD

_w, _a = tables.watches, tables.archives


def set_back(tx: Tx, epochs: int) -> None:
    """Hold the watch of every cluster, and its log's archive, whose epochs go as far ahead as all others."""
    c = tables.clusters
    missing = select(c.c.id).outerjoin(_w, _w.c.cluster_id == c.c.id).where(_w.c.cluster_id.is_(None))
    # Without a row here a cluster that serves would be taken up at once.
    for cluster_id in tx.connection.execute(missing.where(c.c.status == Status.ACTIVE)).scalars().all():
        tx.insert_new(_w, cluster_id=cluster_id, due_at=HELD, worker="", slow=False, announced="")
    tx.connection.execute(update(_w).values(due_at=HELD, leased_until=None, worker=""))
    held = update(_a).values(due_at=HELD, leased_until=None, worker="", epoch=_a.c.epoch + epochs)
    tx.connection.execute(held)


def resume(tx: Tx) -> int:
    """Look at them again; returns how many clusters are watched from now on."""
    now = tx.database.clock.now()
    tx.connection.execute(update(_a).where(_a.c.due_at == HELD).values(due_at=now))
    return tx.connection.execute(update(_w).where(_w.c.due_at == HELD).values(due_at=now)).rowcount
