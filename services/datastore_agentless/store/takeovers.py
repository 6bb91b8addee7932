"""Takeovers in SQL."""

from __future__ import annotations

from sqlalchemy import Connection, Row, select, update

from services.datastore_agentless.domain.takeover import Kind, State, Takeover
from services.datastore_agentless.store import tables
from shared.db import Tx
from shared.errors import NotFound


def get(connection: Connection, operation_id: str) -> Takeover:
    """One takeover. Raises NotFound."""
    found = find(connection, operation_id)
    if found is None:
        raise NotFound(f"there is no takeover {operation_id}")
    return found


def find(connection: Connection, operation_id: str) -> Takeover | None:
    """The same, or None."""
    t = tables.takeovers
    row = connection.execute(select(t).where(t.c.operation_id == operation_id)).first()
    return None if row is None else _takeover(row)


def under_way(connection: Connection, cluster_id: str) -> Takeover | None:
    """The one that a cluster is in the middle of, if there is one. Whoever begins one has locked the cluster."""
    t = tables.takeovers
    mine = (t.c.cluster_id == cluster_id, t.c.state != State.ENDED)
    row = connection.execute(select(t).where(*mine)).first()
    return None if row is None else _takeover(row)


def add(tx: Tx, entry: Takeover) -> bool:
    """Store a new one; false where it is there already."""
    return tx.insert_new(tables.takeovers, **vars(entry))


def save(tx: Tx, entry: Takeover) -> None:
    """Store a changed one."""
    t = tables.takeovers
    tx.connection.execute(update(t).where(t.c.operation_id == entry.operation_id).values(**vars(entry)))


def forget(tx: Tx, cluster_id: str) -> None:
    """A cluster is gone, and what has become of its primaries with it."""
    tx.remove(tables.takeovers.c.cluster_id, cluster_id)


def _takeover(row: Row[object]) -> Takeover:
    values = dict(row._mapping)
    return Takeover(**{**values, "kind": Kind(row.kind), "state": State(row.state)})
