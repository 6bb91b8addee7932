"""The relay's part, for a test that has no broker."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from sqlalchemy import Row, Table, select

from shared.contracts.base import Event
from shared.db import Database
from shared.db.outbox import Outbox, OutboxRow

E = TypeVar("E", bound=Event)


def send_all(database: Database) -> list[OutboxRow]:
    """Take all that waits in the outbox for sent; what it was."""
    with Outbox(database).batch(100) as batch:
        for row in batch.rows:
            batch.sent(row.id)
    return list(batch.rows)


def said(database: Database, kind: type[E]) -> list[E]:
    """All that was announced of a kind and is still in the outbox, in order: what an operation keeps also once it was sent."""
    return [
        kind.from_payload(json.loads(row.body))
        for row in rows(database, database.outbox)
        if row.routing_key == kind.topic
    ]


def rows(database: Database, table: Table) -> list[Row[Any]]:
    """Every row of a table, in order."""
    with database.read() as connection:
        return list(connection.execute(select(table).order_by(*table.primary_key)).all())
