"""Resizes in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from services.datastore_agentless.domain.resize import Resize
from services.datastore_agentless.store import tables
from shared.contracts.base import dump, load
from shared.contracts.values import Flavor
from shared.db import Tx


def find(connection: Connection, operation_id: str) -> Resize | None:
    """One resize, or None."""
    t = tables.resizes
    row = connection.execute(select(t).where(t.c.operation_id == operation_id)).first()
    if row is None:
        return None
    return Resize(**{**row._mapping, "flavor": load(Flavor, row.flavor) if row.flavor else None})


def add(tx: Tx, entry: Resize) -> bool:
    """Store a new one; false where it is there already."""
    return tx.insert_new(tables.resizes, **_columns(entry))


def save(tx: Tx, entry: Resize) -> None:
    """Store a changed one."""
    t = tables.resizes
    tx.connection.execute(update(t).where(t.c.operation_id == entry.operation_id).values(**_columns(entry)))


def forget(tx: Tx, cluster_id: str) -> None:
    """A cluster is gone, or wanted in another size, and what was wanted of it with it."""
    tx.remove(tables.resizes.c.cluster_id, cluster_id)


def _columns(entry: Resize) -> dict[str, Any]:
    return {**vars(entry), "flavor": dump(entry.flavor) if entry.flavor else None}
