"""The clusters that were heard of: whose they are, and whether they are still there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, update

from services.scheduler.store.tables import clusters
from shared.db import Tx


def find(tx: Tx, cluster_id: str, project_id: str = "") -> Row[Any]:
    """A cluster's row, made where it is not there; nobody else changes it until this transaction ends.

    Of one that an older release has made nothing else may be known than whose it is, and that at first neither.
    """
    tx.insert_new(clusters, id=cluster_id, project_id=project_id, manager="")
    row = tx.connection.execute(select(clusters).where(clusters.c.id == cluster_id).with_for_update()).one()
    if project_id and not row.project_id:
        return change(tx, cluster_id, project_id=project_id)
    return row


def change(tx: Tx, cluster_id: str, **values: Any) -> Row[Any]:
    """Change a cluster's row; how it is then."""
    mine = clusters.c.id == cluster_id
    tx.connection.execute(update(clusters).where(mine).values(**values))
    return tx.connection.execute(select(clusters).where(mine)).one()
