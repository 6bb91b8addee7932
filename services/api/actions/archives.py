"""What is heard of the logs of clusters: how far each is kept. The newest word counts, whatever order they come in."""

from __future__ import annotations

from sqlalchemy import update

from services.api.store import tables
from shared.contracts.archives import ArchiveBroken, ArchiveSeen
from shared.contracts.base import dump
from shared.db import Tx


def learn(tx: Tx, event: ArchiveSeen) -> None:
    """How far it is by now, or that it is kept no more."""
    a, said = tables.archives, event.occurred_at
    values = {"until": event.until, "broken_at": event.broken_at, "trouble": event.trouble, "ended": event.ended,
              "chains": dump(event)["chains"]}  # fmt: skip
    if not tx.insert_new(a, cluster_id=event.cluster_id, project_id=event.project_id, said_at=said, **values):
        older = (a.c.cluster_id == event.cluster_id, a.c.said_at < said)
        tx.connection.execute(update(a).where(*older).values(said_at=said, **values))


def broken(tx: Tx, event: ArchiveBroken) -> None:
    """Nothing to learn: the archive's own word says it as well; this one is for the feed."""
