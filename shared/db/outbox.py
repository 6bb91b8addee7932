"""The outbox as the relay sees it: rows to send, in order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, func, select, update

from shared.db.engine import Database


@dataclass(frozen=True)
class OutboxRow:
    """One message to publish. `attempts` counts the failed tries so far."""

    id: int
    exchange: str
    routing_key: str
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    attempts: int = 0


class Outbox:
    """What the relay needs of the database; see shared.bus.relay for the port."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._table = database.outbox

    def fetch_batch(self, limit: int) -> list[OutboxRow]:
        """The next due rows, oldest first."""
        table = self._table
        query = (
            select(table.c.id, table.c.exchange, table.c.routing_key, table.c.body, table.c.headers, table.c.attempts)
            .where(table.c.due_at <= self._database.clock.now())
            .order_by(table.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [OutboxRow(*row) for row in connection.execute(query)]

    def mark_sent(self, ids: Iterable[int]) -> None:
        """The broker has confirmed these: they go."""
        with self._database.write() as tx:
            tx.connection.execute(delete(self._table).where(self._table.c.id.in_(list(ids))))

    def mark_failed(self, row_id: int, error: str, next_due: datetime) -> None:
        """The broker refused this one, or nobody is bound yet: try again at `next_due`."""
        table = self._table
        with self._database.write() as tx:
            tx.connection.execute(
                update(table)
                .where(table.c.id == row_id)
                .values(attempts=table.c.attempts + 1, error=error[:500], due_at=next_due)
            )

    def depth(self) -> int:
        """How many messages wait."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(self._table)).scalar_one())
