"""Takeovers in SQL."""

from __future__ import annotations

from sqlalchemy import Connection, Row, bindparam, select, update

from services.datastore_agentless.domain.takeover import Kind, State, Takeover
from services.datastore_agentless.store import tables
from shared.db import Tx
from shared.errors import NotFound

# Every step of a takeover asks these: they are put together once.
_t = tables.takeovers
_BY_OPERATION = select(_t).where(_t.c.operation_id == bindparam("of_operation"))
_CHANGE = update(_t).where(_t.c.operation_id == bindparam("of_operation"))
_UNDER_WAY = select(_t).where(_t.c.cluster_id == bindparam("of_cluster"), _t.c.state != State.ENDED)


def get(connection: Connection, operation_id: str) -> Takeover:
    """One takeover. Raises NotFound."""
    found = find(connection, operation_id)
    if found is None:
        raise NotFound(f"there is no takeover {operation_id}")
    return found


def find(connection: Connection, operation_id: str) -> Takeover | None:
    """The same, or None."""
    row = connection.execute(_BY_OPERATION, {"of_operation": operation_id}).first()
    return None if row is None else _takeover(row)


def under_way(connection: Connection, cluster_id: str) -> Takeover | None:
    """The one that a cluster is in the middle of, if there is one. Whoever begins one has locked the cluster."""
    row = connection.execute(_UNDER_WAY, {"of_cluster": cluster_id}).first()
    return None if row is None else _takeover(row)


def add(tx: Tx, entry: Takeover) -> bool:
    """Store a new one; false where it is there already."""
    return tx.insert_new(tables.takeovers, **vars(entry))


def save(tx: Tx, entry: Takeover) -> None:
    """Store a changed one."""
    tx.connection.execute(_CHANGE, {"of_operation": entry.operation_id, **vars(entry)})


def forget(tx: Tx, cluster_id: str) -> None:
    """A cluster is gone, and what has become of its primaries with it."""
    tx.remove(tables.takeovers.c.cluster_id, cluster_id)


def _takeover(row: Row[object]) -> Takeover:
    values = dict(row._mapping)
    return Takeover(**{**values, "kind": Kind(row.kind), "state": State(row.state)})
