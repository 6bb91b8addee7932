"""One door to a service's database: short transactions that carry rows, inbox, tasks and outbox together."""

from __future__ import annotations

import json
import logging
import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Delete,
    Engine,
    Executable,
    MetaData,
    Table,
    Update,
    and_,
    bindparam,
    create_engine,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy import event as sa_event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.clock import Clock, SystemClock
from shared.contracts.base import Event
from shared.db import tables
from shared.errors import Unavailable
from shared.secrets import Secret
from shared.workflow import TaskDraft

OUTBOX, TASKS = "outbox", "tasks"
Subscribe = Callable[[Callable[[], None]], None]
BUSY_SECONDS = 10.0
# A message comes again within days, an operation is retried within weeks; nobody asks after that. What is sent again has
# to be known to every inbox, so an inbox remembers longer than an outbox.
OUTBOX_DAYS, INBOX_DAYS, TASK_DAYS = 7, 14, 90
FORGET_AT_ONCE = 1000
# What SQLite says of a file that is locked, full, unreadable or away for now.
PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT,
           sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
           sqlite3.SQLITE_READONLY}  # fmt: skip


@dataclass
class Tx:
    """An open write transaction. `emit`, `send` and `file` take effect if and only if it commits."""

    connection: Connection
    database: Database
    wakes: set[str] = field(default_factory=set)

    def emit(self, event: Event) -> None:
        """Announce `event` once this transaction has committed."""
        publisher = self.database.service if event.publisher == "*" else event.publisher
        operation_id = getattr(event, "operation_id", "") if event.lasting else ""
        self._put(exchange=f"{publisher}.events", routing_key=event.topic, body=json.dumps(event.to_payload()),
                  operation_id=operation_id)  # fmt: skip

    def repeat(self, operation_id: str) -> int:
        """Announce once more all that was announced of an operation and not called passing; return how many events."""
        values = {"of_id": operation_id, "due_at": self.database.clock.now(), "attempts": 0}
        number = self.connection.execute(_sent_of(self.database.outbox), values).rowcount
        if number:
            self.wakes.add(OUTBOX)
        return number

    def send(self, queue: str, body: Secret, headers: Mapping[str, Any]) -> None:
        """Send a message to one queue once this transaction has committed; until then it is kept sealed.

        `body` is its bytes, read as Latin-1.
        """
        self._put(exchange="", routing_key=queue, body="", sealed_body=body, headers=dict(headers))

    def first_seen(self, event_id: str, consumer: str) -> bool:
        """Whether `consumer` meets this event for the first time; from now on it has seen it."""
        now = self.database.clock.now()
        return self.insert_new(self.database.inbox, event_id=event_id, consumer=consumer, seen_at=now)

    def file(self, draft: TaskDraft) -> bool:
        """File a task; false when one with its id was filed before."""
        now = self.database.clock.now()
        self.wakes.add(TASKS)
        return self.insert_new(
            self.database.tasks,
            id=draft.id, kind=draft.kind, subject=draft.subject, cluster_id=draft.cluster_id,
            operation_id=draft.operation_id, host=draft.host, payload=draft.payload, status="open",
            mode="forward", step="", done=[], attempt=0, claims=0, epoch=0, due_at=now,
            cancel_requested=False, message="", created_at=now,
        )  # fmt: skip

    def insert_new(self, table: Table, **values: Any) -> bool:
        """Insert a row unless its key is there; whether it was new. A rival's row is waited for, not raced."""
        return self.connection.execute(_insert_new(table, self.database.locks_rows), values).rowcount == 1

    def remove(self, column: Column[Any], value: Any) -> int:
        """Delete the rows of a table that have this value in a column; return how many."""
        return self.connection.execute(_delete(column), {"of_value": value}).rowcount

    def _put(self, **values: Any) -> None:
        now = self.database.clock.now()
        row = {
            "headers": {},
            "sealed_body": None,
            "operation_id": "",
            "attempts": 0,
            "due_at": now,
            "error": "",
            "created_at": now,
            **values,
        }
        self.connection.execute(_insert(self.database.outbox), row)
        self.wakes.add(OUTBOX)


class Database:
    """A service's database. `service` names it; `metadata` holds its tables, the machinery's are added.

    Every failure to reach the database leaves as Unavailable, so that callers answer 503 or try again.
    """

    def __init__(self, url: str, service: str, metadata: MetaData, clock: Clock | None = None) -> None:
        self.url = url
        self.service = service
        self.metadata = metadata
        self.clock: Clock = clock or SystemClock()
        tables.add_machinery(metadata)
        self.inbox = metadata.tables["inbox"]
        self.outbox = metadata.tables["outbox"]
        self.tasks = metadata.tables["tasks"]
        self.fences = metadata.tables["fences"]
        self.engine = make_engine(url)
        # Whether rows can be locked one by one; SQLite lets one writer in at a time.
        self.locks_rows = self.engine.dialect.name != "sqlite"
        self._listeners: dict[str, list[Callable[[], None]]] = {OUTBOX: [], TASKS: []}

    def on_outbox(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each commit that put something into the outbox."""
        self._listeners[OUTBOX].append(callback)

    def on_tasks(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each commit that filed, freed, ended or cancelled a task."""
        self._listeners[TASKS].append(callback)

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """A write transaction; commits at the end of the block, rolls back on any exception.

        Never wait on anything inside the block: SQLite lets one writer in at a time.
        """
        with translated(), self._connection() as connection:
            self._lock(connection)
            try:
                tx = Tx(connection, self)
                yield tx
                self._commit(connection)
            except BaseException:
                connection.rollback()
                raise
        for name in tx.wakes:
            for callback in self._listeners[name]:
                callback()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading, with one consistent view for the length of the block."""
        with translated(), self._connection() as connection:
            yield connection

    def forget_old(self) -> int:
        """Drop inbox rows older than any redelivery, events sent and tasks ended long ago; return how many."""
        now = self.clock.now()
        inbox, outbox, tasks = self.inbox.c, self.outbox.c, self.tasks.c
        sent_long_ago = and_(outbox.due_at.is_(None), outbox.created_at < now - timedelta(days=OUTBOX_DAYS))
        return (
            self.forget(self.inbox, inbox.event_id, inbox.seen_at < now - timedelta(days=INBOX_DAYS))
            + self.forget(self.outbox, outbox.id, sent_long_ago)
            + self.forget(self.tasks, tasks.id, tasks.finished_at < now - timedelta(days=TASK_DAYS))
        )

    def forget(self, table: Table, key: ColumnElement[Any], old: ColumnElement[bool]) -> int:
        """Delete a table's `old` rows, some at a time so that nobody waits long; return how many went."""
        total = 0
        while True:
            with self.write() as tx:
                some = select(key).where(old).limit(FORGET_AT_ONCE)
                gone = tx.connection.execute(delete(table).where(key.in_(some), old)).rowcount
            total += gone
            if gone < FORGET_AT_ONCE:
                return total

    def _connection(self) -> AbstractContextManager[Connection]:
        """A connection for the length of a block."""
        return self.engine.connect()

    def _commit(self, connection: Connection) -> None:
        """All of a transaction is said."""
        connection.commit()

    def _lock(self, connection: Connection) -> None:
        """Take SQLite's write lock, waiting for others with the hub free; other engines lock by row."""
        if self.locks_rows:
            return
        until = self.clock.monotonic() + BUSY_SECONDS
        connection.begin()
        # By the driver itself: SQLAlchemy takes ten times as long over two words.
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or self.clock.monotonic() > until:
                    raise OperationalError("BEGIN IMMEDIATE", None, error) from error
                self.clock.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - spreads writers, guards nothing


@cache
def _insert(table: Table) -> Executable:
    return insert(table)


@cache
def _delete(column: Column[Any]) -> Delete:
    return delete(column.table).where(column == bindparam("of_value"))


@cache
def _sent_of(outbox: Table) -> Update:
    return update(outbox).where(outbox.c.operation_id == bindparam("of_id"), outbox.c.due_at.is_(None))


@cache
def _insert_new(table: Table, locks_rows: bool) -> Executable:
    """The statement is made once for each table: making it costs more than running it."""
    insert_of = postgresql.insert if locks_rows else sqlite.insert
    return insert_of(table).on_conflict_do_nothing()


class _Translation(AbstractContextManager[None]):
    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            return
        if isinstance(error, PoolTimeout):
            raise _unavailable(error) from error
        if isinstance(error, DBAPIError) and _is_trouble(error):
            raise _unavailable(error.orig) from error


def translated() -> AbstractContextManager[None]:
    """Turn the driver's connection troubles into Unavailable; leave mistakes of ours as they are."""
    return _TRANSLATION


_TRANSLATION = _Translation()


def _is_trouble(error: DBAPIError) -> bool:
    """Whether it passes: a database that is away, busy or full, and not a statement that can never work."""
    if isinstance(error.orig, sqlite3.OperationalError):
        return error.orig.sqlite_errorcode & 0xFF in PASSING
    return isinstance(error, OperationalError) or error.connection_invalidated


def _unavailable(cause: object) -> Unavailable:
    logging.getLogger(__name__).warning("database does not answer: %s", str(cause).strip())
    return Unavailable("the database does not answer", what_to_do="try again shortly")


def make_engine(url: str) -> Engine:
    """An engine with the settings that DTrove needs; what stands in its rows goes into no error and no log."""
    if url.startswith("sqlite"):
        engine = create_engine(
            url, pool_size=8, max_overflow=24, pool_timeout=10, hide_parameters=True,
            connect_args={"check_same_thread": False},
        )  # fmt: skip
        sa_event.listen(engine, "connect", _prepare_sqlite)
        return engine
    if url.startswith("postgres://"):
        url = "postgresql://" + url.removeprefix("postgres://")
    # A page's few rows are found by index, not by reading the table: PostgreSQL's own guess is made for spinning disks.
    options = "-c statement_timeout=10000 -c idle_in_transaction_session_timeout=60000 -c random_page_cost=1.1"
    return create_engine(
        url, pool_size=8, max_overflow=24, pool_pre_ping=True, pool_timeout=10, isolation_level="READ COMMITTED",
        hide_parameters=True,
        connect_args={"connect_timeout": 5, "keepalives_idle": 10, "options": options},
    )  # fmt: skip


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN would be a deferred one that fails in the middle; transactions are begun by hand.
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=0", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
