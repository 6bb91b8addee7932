"""The clusters that were heard of: whose they are, and whether they are still there."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, bindparam, select, update

from services.scheduler.store.tables import clusters
from shared.db import Tx

# Nearly every event asks these: they are put together once.
_BY_ID = select(clusters).where(clusters.c.id == bindparam("of_id"))
_LOCKED = _BY_ID.with_for_update()
_CHANGE = update(clusters).where(clusters.c.id == bindparam("of_id"))


def find(tx: Tx, cluster_id: str, project_id: str = "") -> Row[Any]:
    """A cluster's row, made where it is not there; nobody else changes it until this transaction ends.

    Of one that an older release has made nothing else may be known than whose it is, and that at first neither.
    """
    tx.insert_new(clusters, id=cluster_id, project_id=project_id, manager="")
    row = tx.connection.execute(_LOCKED, {"of_id": cluster_id}).one()
    if project_id and not row.project_id:
        return change(tx, cluster_id, project_id=project_id)
    return row


def change(tx: Tx, cluster_id: str, **values: Any) -> Row[Any]:
    """Change a cluster's row; how it is then."""
    tx.connection.execute(_CHANGE, {"of_id": cluster_id, **values})
    return tx.connection.execute(_BY_ID, {"of_id": cluster_id}).one()
