"""Who reads which log, in SQL."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Row, func, select, update

from services.datastore_agentless.domain.reading import Reading
from services.datastore_agentless.store import tables
from shared.db import Tx


def find(connection: Connection, reading_id: str) -> Reading | None:
    """A reading that is not over."""
    t = tables.readings
    row = connection.execute(select(t).where(t.c.id == reading_id)).first()
    return None if row is None else _reading(row)


def add(tx: Tx, reading: Reading) -> bool:
    """Store a new one; false where it is there already."""
    return tx.insert_new(tables.readings, **vars(reading))


def count(connection: Connection, instance_id: str = "") -> int:
    """How many read an instance's log, or for empty any log."""
    t = tables.readings
    query = select(func.count()).select_from(t)
    if instance_id:
        query = query.where(t.c.instance_id == instance_id)
    return int(connection.execute(query).scalar_one())


def go_on(tx: Tx, reading_id: str, until: datetime) -> None:
    """Somebody still follows it."""
    t = tables.readings
    tx.connection.execute(update(t).where(t.c.id == reading_id).values(until=until))


def move(tx: Tx, reading_id: str, place: str, sequence: int) -> None:
    """It has come to a place."""
    t = tables.readings
    tx.connection.execute(update(t).where(t.c.id == reading_id).values(place=place, sequence=sequence))


def remove(tx: Tx, reading_id: str) -> None:
    """It is over."""
    t = tables.readings
    tx.remove(t.c.id, reading_id)


def _reading(row: Row[tuple[object, ...]]) -> Reading:
    return Reading(**row._mapping)
