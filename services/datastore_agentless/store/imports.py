"""Imports in SQL. They go with their cluster."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from services.datastore_agentless.domain.importing import Import, State
from services.datastore_agentless.store import tables
from shared.db import Tx
from shared.errors import NotFound

_t = tables.imports


def get(connection: Connection, import_id: str) -> Import:
    """One import. Raises NotFound."""
    row = connection.execute(select(_t).where(_t.c.id == import_id)).first()
    if row is None:
        raise NotFound(f"there is no import {import_id}", what_to_do="ask for it anew")
    return Import(**{**row._mapping, "state": State(row.state)})


def find_locked(tx: Tx, import_id: str) -> Import | None:
    """The same, or None; nobody else changes it until this transaction ends."""
    row = tx.connection.execute(select(_t).where(_t.c.id == import_id).with_for_update()).first()
    return None if row is None else Import(**{**row._mapping, "state": State(row.state)})


def lock(tx: Tx, import_id: str) -> Import:
    """The same. Raises NotFound."""
    found = find_locked(tx, import_id)
    if found is None:
        raise NotFound(f"there is no import {import_id}", what_to_do="ask for it anew")
    return found


def add(tx: Tx, entry: Import) -> bool:
    """Store a new one; false where it is there already."""
    return tx.insert_new(_t, **vars(entry))


def save(tx: Tx, entry: Import) -> None:
    """Store a changed one."""
    tx.connection.execute(update(_t).where(_t.c.id == entry.id).values(**vars(entry)))


def forget(tx: Tx, cluster_id: str) -> None:
    """A cluster is gone."""
    tx.remove(_t.c.cluster_id, cluster_id)
