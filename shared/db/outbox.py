"""The outbox as the relay sees it: rows to send, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Delete, Row, Select, Table, Update, bindparam, delete, func, select, update

from shared.contracts.state import Waiting
from shared.db.engine import Database
from shared.db.types import UtcDateTime

LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class OutboxRow:
    """One message to publish. `attempts` counts the failed tries so far; one of an operation is kept once it is sent."""

    id: int
    exchange: str
    routing_key: str
    body: str | bytes
    headers: dict[str, Any] = field(default_factory=dict)
    attempts: int = 0
    operation_id: str = ""


@dataclass
class Batch:
    """Rows in one relay's hands, and what it says of them."""

    rows: Sequence[OutboxRow]
    done: list[int] = field(default_factory=list)
    later: dict[int, str] = field(default_factory=dict)

    def sent(self, row_id: int) -> None:
        """The broker has confirmed it: it goes."""
        self.done.append(row_id)

    def postponed(self, row_id: int, why: str) -> None:
        """The broker refused it, or nobody is bound yet: it is due again after a pause that grows."""
        self.later[row_id] = why


class Outbox:
    """What the relay needs of the database; see shared.bus.relay for the port.

    On PostgreSQL the rows of a batch stay locked until its end, so that the relays of several replicas share the
    work. SQLite has no such locks, and one process: should there be two, each message goes out twice, which its
    `event_id` makes harmless. A relay that dies leaves its rows as they were.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._table = database.outbox

    def batch(self, limit: int) -> AbstractContextManager[Batch]:
        """The next due rows, oldest first; what was said of them is stored at the end of the block, however it ends."""
        return self._locked(limit) if self._database.locks_rows else self._unlocked(limit)

    @contextmanager
    def _locked(self, limit: int) -> Iterator[Batch]:
        failures: list[Exception] = []
        with self._database.write() as tx:
            batch = Batch(self._rows(tx.connection, _due(self._table).with_for_update(skip_locked=True), limit))
            try:
                yield batch
            except Exception as error:  # noqa: BLE001 - raised below, once it is stored what went out before it
                failures.append(error)
            self._store(tx.connection, batch)
        if failures:
            raise failures[0]

    @contextmanager
    def _unlocked(self, limit: int) -> Iterator[Batch]:
        with self._database.read() as connection:
            batch = Batch(self._rows(connection, _due(self._table), limit))
        try:
            yield batch
        finally:
            if batch.done or batch.later:
                with self._database.write() as tx:
                    self._store(tx.connection, batch)

    def waiting(self, connection: Connection) -> Waiting:
        """What has not been sent yet: how many messages, the age of the oldest, and what it last met with."""
        table, waits = self._table, self._table.c.due_at.is_not(None)
        number = connection.execute(select(func.count()).select_from(table).where(waits)).scalar_one()
        oldest = connection.execute(select(table).where(waits).order_by(table.c.id).limit(1)).first()
        if oldest is None:
            return Waiting(messages=number)
        age = (self._database.clock.now() - oldest.created_at).total_seconds()
        return Waiting(messages=number, oldest_seconds=max(0.0, age), error=oldest.error)

    def depth(self) -> int:
        """How many messages wait."""
        with self._database.read() as connection:
            return self.waiting(connection).messages

    def _rows(self, connection: Connection, query: Select[Any], limit: int) -> list[OutboxRow]:
        found = connection.execute(query, {"now": self._database.clock.now(), "limit": limit})
        return [
            OutboxRow(one.id, one.exchange, one.routing_key, _body(one), one.headers, one.attempts, one.operation_id)
            for one in found
        ]

    def _store(self, connection: Connection, batch: Batch) -> None:
        table, now = self._table, self._database.clock.now()
        lasting = {row.id for row in batch.rows if row.operation_id}
        if passing := [row_id for row_id in batch.done if row_id not in lasting]:
            connection.execute(_sent(table), {"ids": passing})
        if kept := [row_id for row_id in batch.done if row_id in lasting]:
            connection.execute(_kept(table), {"ids": kept})
        for row in (row for row in batch.rows if row.id in batch.later):
            pause = timedelta(seconds=min(LONGEST_PAUSE, 0.5 * 2.0 ** min(row.attempts, 10)))
            values = {"attempts": row.attempts + 1, "error": batch.later[row.id][:500], "due_at": now + pause}
            connection.execute(update(table).where(table.c.id == row.id).values(**values))


@cache
def _due(table: Table) -> Select[Any]:
    """Asked every second even when idle: it is put together once."""
    now = bindparam("now", type_=UtcDateTime)
    return select(table).where(table.c.due_at <= now).order_by(table.c.id).limit(bindparam("limit"))


@cache
def _sent(table: Table) -> Delete:
    return delete(table).where(table.c.id.in_(bindparam("ids", expanding=True)))


@cache
def _kept(table: Table) -> Update:
    return update(table).where(table.c.id.in_(bindparam("ids", expanding=True))).values(due_at=None, error="")


def pause_at(age: timedelta, first: timedelta, longest: timedelta) -> timedelta:
    """How long to wait before what was said so long ago is said again: the older it is, the longer."""
    return min(longest, max(first, age / 10))


def repeat(database: Database, operation_id: str) -> int:
    """Announce once more what was announced of an operation, for somebody may have missed it; return how many events."""
    with database.write() as tx:
        return tx.repeat(operation_id)


def _body(row: Row[Any]) -> str | bytes:
    """The message; one that is kept sealed may be any bytes, read as Latin-1."""
    return str(row.body) if row.sealed_body is None else row.sealed_body.reveal().encode("latin-1")
