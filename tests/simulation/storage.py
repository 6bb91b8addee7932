"""The services' databases: real SQLite in memory, emptied for each run, over the engine that a service really uses."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import Connection, MetaData

from shared.bus.publisher import Outgoing
from shared.clock import Clock
from shared.db import Database, Tx, tables
from shared.db.engine import make_engine
from tests.simulation.swift import SwiftConnection

_NUMBERS = itertools.count()


class Weather(Protocol):
    """What happens to databases."""

    def before_use(self, database: SimDatabase, what: str) -> None:
        """Called before each transaction and each look. May raise Unavailable, or end the process."""

    def before_commit(self, database: SimDatabase) -> None:
        """Called when all of a transaction is said, and nothing of it has taken place. May end the process."""

    def after_commit(self, database: SimDatabase) -> None:
        """Called when a transaction has taken place. May raise Unavailable, for nobody was told; or end the process."""


class File:
    """A service's database while it rests: what a new installation has in it, and a way to ask that costs little.

    SQLite keeps it in this process's memory, for as long as somebody has it open. It knows one lock less than a file: nobody
    reads while somebody writes. Nobody does, for a thread in a transaction waits on nothing. `commits` counts the
    transactions that have changed it: a file that nobody has written to says what it said before.
    """

    def __init__(self, service: str, metadata: MetaData) -> None:
        self.commits = 0
        path = f"file:/{service}-{next(_NUMBERS)}?vfs=memdb"
        self.url = f"sqlite:///{path}&uri=true"
        self._connection = sqlite3.connect(path, uri=True, isolation_level=None)
        tables.add_machinery(metadata)
        self.engine = make_engine(self.url)
        metadata.create_all(self.engine)
        self._free: list[Kept] = []
        self._tables = [table.name for table in reversed(metadata.sorted_tables)] + ["sqlite_sequence"]
        self._fresh: dict[str, list[tuple[Any, ...]]] = {}

    def connection(self) -> Kept:
        """A connection for the length of a block: the one that was in use last, for it has most of the pages at hand."""
        return self._free.pop() if self._free else Kept(SwiftConnection(self.engine), self._free)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds, without weather and without SQLAlchemy."""
        with self.connection() as connection:
            return connection.ask(query)

    def keep(self) -> None:
        """What it holds now is what a new installation has."""
        rows = {name: self._connection.execute(f'select * from "{name}"').fetchall() for name in self._tables}
        self._fresh = {name: found for name, found in rows.items() if found}

    def renew(self) -> None:
        """Make it that of a new installation. Its pages and its tables stay: nobody has to open it again."""
        self._connection.execute("begin immediate")
        for name in self._tables:
            self._connection.execute(f'delete from "{name}"')
        for name, found in self._fresh.items():
            places = ", ".join("?" * len(found[0]))
            self._connection.executemany(f'insert into "{name}" values ({places})', found)
        self._connection.execute("commit")
        self.commits += 1

    def close(self) -> None:
        """Let go of it."""
        while self._free:
            self._free.pop().close()
        self.engine.dispose()
        self._connection.close()


class Kept(AbstractContextManager[SwiftConnection]):
    """A connection that is left open for the next one: to take one from a pool costs as much as a statement does."""

    def __init__(self, connection: SwiftConnection, free: list[Kept]) -> None:
        self._connection, self._free = connection, free

    def __enter__(self) -> SwiftConnection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        if self._connection.in_transaction():
            self._connection.rollback()
        self._free.append(self)

    def close(self) -> None:
        """Close it for good."""
        self._connection.close()


class SimDatabase(Database):
    """One replica's way to its service's file. `carrier` sends a message past the outbox: only a deliberate break does."""

    weather: Weather | None = None
    carrier: Callable[[Outgoing], None]

    def __init__(self, file: File, service: str, metadata: MetaData, clock: Clock) -> None:
        super().__init__(file.url, service, metadata, clock)
        # One for all replicas: SQLAlchemy keeps with it what it has put together.
        self.file, self.engine = file, file.engine

    def renew(self) -> None:
        """A new process: nobody of the old one listens."""
        for listeners in self._listeners.values():
            listeners.clear()

    def write(self) -> AbstractContextManager[Tx]:  # type: ignore[override] # a block is all that anybody wants of it
        if self.weather:
            self.weather.before_use(self, "write")
        return super().write()

    def read(self) -> AbstractContextManager[Connection]:  # type: ignore[override] # likewise
        if self.weather:
            self.weather.before_use(self, "read")
        # SQLite in memory is never away by itself: there is no trouble of the driver's to translate.
        return self._connection()

    def _connection(self) -> AbstractContextManager[Connection]:
        return self.file.connection()

    def _commit(self, connection: Connection) -> None:
        if self.weather:
            self.weather.before_commit(self)
        super()._commit(connection)
        self.file.commits += 1
        if self.weather:
            self.weather.after_commit(self)


class Disk:
    """The files of one process of tests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._files: dict[str, File] = {}
        self._databases: dict[str, SimDatabase] = {}

    def database(self, slot: str, service: str, metadata: MetaData) -> SimDatabase:
        """The database of a replica."""
        if service not in self._files:
            self._files[service] = File(service, metadata)
        if slot not in self._databases:
            self._databases[slot] = SimDatabase(self._files[service], service, metadata, self._clock)
        return self._databases[slot]

    def renew(self) -> None:
        """Every file as a new installation has it."""
        for file in self._files.values():
            file.renew()

    def keep(self) -> None:
        """Begin every later run from what the files hold now."""
        for file in self._files.values():
            file.keep()

    def close(self) -> None:
        """Remove them."""
        for file in self._files.values():
            file.close()


def rows(database: SimDatabase, statement: Any, **values: Any) -> list[Any]:
    """Look into a database without weather."""
    with database._connection() as connection:
        return list(connection.execute(statement, values))
