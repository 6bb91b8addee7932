"""What is heard of the logs of clusters: how far each is kept. The newest word counts, whatever order they come in."""

from __future__ import annotations

from sqlalchemy import select, update

from services.api.actions import health
from services.api.store import tables
from shared.contracts.archives import ArchiveBroken, ArchiveSeen
from shared.contracts.base import dump
from shared.db import Tx

_a, _c = tables.archives, tables.clusters


def learn(tx: Tx, event: ArchiveSeen) -> None:
    """How far it is by now, or that it is kept no more. Where it is stale from now on, or is no longer, the cluster's status says so."""
    said = event.occurred_at
    values = {"until": event.until, "broken_at": event.broken_at, "trouble": event.trouble, "ended": event.ended,
              "chains": dump(event)["chains"], "stale": event.stale and not event.ended}  # fmt: skip
    before = tx.connection.execute(select(_a.c.stale).where(_a.c.cluster_id == event.cluster_id)).scalar()
    turns = values["stale"] != bool(before)
    if turns or values["stale"]:
        # The cluster first, as everybody locks.
        tx.connection.execute(select(_c.c.id).where(_c.c.id == event.cluster_id).with_for_update())
    if not tx.insert_new(_a, cluster_id=event.cluster_id, project_id=event.project_id, said_at=said, **values):
        older = (_a.c.cluster_id == event.cluster_id, _a.c.said_at < said)
        tx.connection.execute(update(_a).where(*older).values(said_at=said, **values))
    if turns or values["stale"]:
        health.settle(tx, event.cluster_id)


def broken(tx: Tx, event: ArchiveBroken) -> None:
    """Nothing to learn: the archive's own word says it as well; this one is for the feed."""
