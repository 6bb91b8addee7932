"""The catalogue of exports in SQL. It does not go with a cluster."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from services.datastore_agentless.domain.backup import State
from services.datastore_agentless.domain.export import Export
from services.datastore_agentless.store import tables
from shared.db import Tx
from shared.errors import NotFound
from shared.secrets import Secret

_t = tables.exports
_SEALED = ("identity", "token")


def get(connection: Connection, export_id: str) -> Export:
    """One export. Raises NotFound."""
    row = connection.execute(select(_t).where(_t.c.id == export_id)).first()
    if row is None:
        raise NotFound(f"there is no export {export_id}", what_to_do="list the exports, and name one of them")
    return _read(row)


def find_locked(tx: Tx, export_id: str) -> Export | None:
    """The same, or None; nobody else changes it until this transaction ends."""
    row = tx.connection.execute(select(_t).where(_t.c.id == export_id).with_for_update()).first()
    return None if row is None else _read(row)


def lock(tx: Tx, export_id: str) -> Export:
    """The same. Raises NotFound."""
    found = find_locked(tx, export_id)
    if found is None:
        raise NotFound(f"there is no export {export_id}")
    return found


def add(tx: Tx, entry: Export) -> bool:
    """Store a new one; false where it is there already."""
    return tx.insert_new(_t, **_columns(entry))


def save(tx: Tx, entry: Export) -> None:
    """Store a changed one."""
    tx.connection.execute(update(_t).where(_t.c.id == entry.id).values(**_columns(entry)))


def _read(row: Row[Any]) -> Export:
    secrets = {name: row._mapping[name] or Secret("") for name in _SEALED}
    return Export(**{**row._mapping, **secrets, "state": State(row.state)})


def _columns(entry: Export) -> dict[str, Any]:
    """Where there is no secret, nothing is sealed."""
    return {**vars(entry), **{name: getattr(entry, name) or None for name in _SEALED}}
