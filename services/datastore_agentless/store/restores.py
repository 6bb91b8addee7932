"""Restores in place in SQL. They go with their cluster."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from services.datastore_agentless.domain.restore import BESIDE, Restore, State
from services.datastore_agentless.store import tables
from shared.db import Tx
from shared.errors import NotFound

_t = tables.restores


def get(connection: Connection, operation_id: str) -> Restore:
    """The restore of an operation. Raises NotFound."""
    row = connection.execute(select(_t).where(_t.c.operation_id == operation_id)).first()
    if row is None:
        raise NotFound(f"there is no restore {operation_id}", what_to_do="ask for it anew")
    return _restore(row)


def of_cluster(connection: Connection, cluster_id: str) -> Restore | None:
    """The one of which something lies beside a cluster's data, or None: there is one at most."""
    there = (_t.c.cluster_id == cluster_id, _t.c.state.in_(BESIDE))
    row = connection.execute(select(_t).where(*there)).first()
    return None if row is None else _restore(row)


def reads(connection: Connection, backup_id: str) -> bool:
    """Whether data are just being made of a backup."""
    query = select(_t.c.operation_id).where(_t.c.backup_id == backup_id, _t.c.state == State.COMING)
    return connection.execute(query.limit(1)).first() is not None


def overdue(connection: Connection, now: datetime) -> list[Restore]:
    """Those whose time is over, the oldest first."""
    query = select(_t).where(_t.c.state == State.KEPT, _t.c.purge_at <= now).order_by(_t.c.purge_at)
    return [_restore(row) for row in connection.execute(query)]


def add(tx: Tx, entry: Restore) -> bool:
    """Store a new one; false where it is there already."""
    return tx.insert_new(_t, **vars(entry))


def save(tx: Tx, entry: Restore) -> None:
    """Store a changed one, the row of whose cluster is held."""
    tx.connection.execute(update(_t).where(_t.c.operation_id == entry.operation_id).values(**vars(entry)))


def forget(tx: Tx, cluster_id: str) -> None:
    """A cluster is gone."""
    tx.remove(_t.c.cluster_id, cluster_id)


def _restore(row: Row[Any]) -> Restore:
    return Restore(**{**row._mapping, "state": State(row.state)})
