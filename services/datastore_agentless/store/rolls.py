"""Rolls in SQL."""

from __future__ import annotations

from sqlalchemy import Connection, Row, select, update

from services.datastore_agentless.domain.roll import Action, Roll, State
from services.datastore_agentless.store import tables
from shared.db import Tx
from shared.errors import NotFound


def get(connection: Connection, operation_id: str) -> Roll:
    """One roll. Raises NotFound."""
    found = find(connection, operation_id)
    if found is None:
        raise NotFound(f"there is no roll {operation_id}")
    return found


def find(connection: Connection, operation_id: str) -> Roll | None:
    """The same, or None."""
    t = tables.rolls
    row = connection.execute(select(t).where(t.c.operation_id == operation_id)).first()
    return None if row is None else _roll(row)


def under_way(connection: Connection, cluster_id: str) -> Roll | None:
    """The one that a cluster is in the middle of, if there is one. Whoever begins one has locked the cluster."""
    t = tables.rolls
    row = connection.execute(select(t).where(t.c.cluster_id == cluster_id, t.c.state == State.OPEN)).first()
    return None if row is None else _roll(row)


def add(tx: Tx, entry: Roll) -> bool:
    """Store a new one; false where it is there already."""
    return tx.insert_new(tables.rolls, **vars(entry))


def save(tx: Tx, entry: Roll) -> None:
    """Store a changed one."""
    t = tables.rolls
    tx.connection.execute(update(t).where(t.c.operation_id == entry.operation_id).values(**vars(entry)))


def forget(tx: Tx, cluster_id: str) -> None:
    """A cluster is gone, and what was done to its nodes with it."""
    tx.remove(tables.rolls.c.cluster_id, cluster_id)


def _roll(row: Row[object]) -> Roll:
    values = dict(row._mapping)
    return Roll(**{**values, "wanted": Action(row.wanted), "action": Action(row.action), "state": State(row.state)})
