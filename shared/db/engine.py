"""One door to a service's database: short transactions that carry rows, inbox, tasks and outbox together."""

from __future__ import annotations

import json
import logging
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, delete, insert, select
from sqlalchemy import event as sa_event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.clock import Clock, SystemClock
from shared.contracts.base import Event
from shared.db import tables
from shared.errors import Unavailable
from shared.workflow import TaskDraft

Subscribe = Callable[[Callable[[], None]], None]
BUSY_SECONDS = 10.0
INBOX_DAYS = 14


@dataclass
class Tx:
    """An open write transaction. `emit` and `file` take effect if and only if it commits."""

    connection: Connection
    database: Database

    def emit(self, event: Event) -> None:
        """Announce `event` once this transaction has committed."""
        publisher = self.database.service if event.publisher == "*" else event.publisher
        now = self.database.clock.now()
        self.connection.execute(
            insert(self.database.outbox).values(
                exchange=f"{publisher}.events", routing_key=event.topic, body=json.dumps(event.to_payload()),
                headers={}, attempts=0, due_at=now, error="", created_at=now,
            )
        )  # fmt: skip

    def first_seen(self, event_id: str, consumer: str) -> bool:
        """Whether `consumer` meets this event for the first time; from now on it has seen it."""
        seen = self.database.inbox
        known = self.connection.execute(
            select(seen.c.event_id).where(seen.c.event_id == event_id, seen.c.consumer == consumer)
        ).first()
        if known is not None:
            return False
        try:
            with self.connection.begin_nested():
                self.connection.execute(
                    insert(seen).values(event_id=event_id, consumer=consumer, seen_at=self.database.clock.now())
                )
        except IntegrityError:
            return False
        return True

    def file(self, draft: TaskDraft) -> bool:
        """File a task; false when one with its id was filed before."""
        tasks = self.database.tasks
        if self.connection.execute(select(tasks.c.id).where(tasks.c.id == draft.id)).first() is not None:
            return False
        now = self.database.clock.now()
        self.connection.execute(
            insert(tasks).values(
                id=draft.id, kind=draft.kind, subject=draft.subject, cluster_id=draft.cluster_id,
                operation_id=draft.operation_id, host=draft.host, payload=draft.payload, status="open",
                mode="forward", step="", done=[], attempt=0, claims=0, epoch=0, due_at=now,
                cancel_requested=False, message="", created_at=now,
            )
        )  # fmt: skip
        return True


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
        self._after_commit: list[Callable[[], None]] = []

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each committed write: it wakes the relay and the step runner."""
        self._after_commit.append(callback)

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """A write transaction; commits at the end of the block, rolls back on any exception.

        Never wait on anything inside the block: SQLite lets one writer in at a time.
        """
        with translated(), self._begin() as connection:
            yield Tx(connection, self)
        for callback in self._after_commit:
            callback()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading, with one consistent view for the length of the block."""
        with translated(), self.engine.connect() as connection:
            yield connection

    def forget_old_inbox(self) -> int:
        """Drop inbox rows older than any redelivery can be; return how many."""
        limit = self.clock.now() - timedelta(days=INBOX_DAYS)
        with self.write() as tx:
            return tx.connection.execute(delete(self.inbox).where(self.inbox.c.seen_at < limit)).rowcount

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            self._lock(connection)
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    def _lock(self, connection: Connection) -> None:
        """Take SQLite's write lock, waiting for others with the hub free; other engines lock by row."""
        if self.engine.dialect.name != "sqlite":
            return
        until = self.clock.monotonic() + BUSY_SECONDS
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                if "locked" not in str(error) or self.clock.monotonic() > until:
                    raise
                connection.rollback()
                self.clock.sleep(random.uniform(0.001, 0.02))  # noqa: S311 - spreads writers, guards nothing


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's connection troubles into Unavailable; leave mistakes of ours as they are."""
    try:
        yield
    except (OperationalError, PoolTimeout) as error:
        logging.getLogger(__name__).warning("database does not answer: %s", error)
        raise Unavailable("the database does not answer", what_to_do="try again shortly") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("the database connection was lost", what_to_do="try again shortly") from error
        raise


def make_engine(url: str) -> Engine:
    """An engine with the settings that DTrove needs: see the comments."""
    if url.startswith("sqlite"):
        engine = create_engine(url, pool_size=8, max_overflow=24, connect_args={"check_same_thread": False})
        sa_event.listen(engine, "connect", _prepare_sqlite)
        return engine
    if url.startswith("postgres://"):
        url = "postgresql://" + url.removeprefix("postgres://")
    timeouts = "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=60000"
    return create_engine(
        url, pool_size=8, max_overflow=24, pool_pre_ping=True, pool_timeout=10,
        connect_args={"connect_timeout": 5, "keepalives_idle": 10, "options": timeouts},
    )  # fmt: skip


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN would be a deferred one that fails in the middle; transactions are begun by hand.
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=0", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
