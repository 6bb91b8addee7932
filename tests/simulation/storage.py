"""The services' databases: real SQLite files in memory, made new for each run, over the engine that a service really uses."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, MetaData

from shared.bus.publisher import Outgoing
from shared.clock import Clock
from shared.db import Database, Tx

MEMORY = Path("/dev/shm")


class Weather(Protocol):
    """What happens to databases."""

    def before_use(self, database: SimDatabase, what: str) -> None:
        """Called before each transaction and each look. May raise Unavailable, or end the process."""

    def before_commit(self, database: SimDatabase) -> None:
        """Called when all of a transaction is said, and nothing of it has taken place. May end the process."""

    def after_commit(self, database: SimDatabase) -> None:
        """Called when a transaction has taken place. May raise Unavailable, for nobody was told; or end the process."""


class SimDatabase(Database):
    """One replica's way to its service's file. `carrier` sends a message past the outbox: only a deliberate break does."""

    weather: Weather | None = None
    carrier: Callable[[Outgoing], None]

    def renew(self) -> None:
        """A new process: nobody of the old one listens."""
        for listeners in self._listeners.values():
            listeners.clear()

    @contextmanager
    def write(self) -> Iterator[Tx]:
        if self.weather:
            self.weather.before_use(self, "write")
        with super().write() as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Connection]:
        if self.weather:
            self.weather.before_use(self, "read")
        with super().read() as connection:
            yield connection

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with super()._begin() as connection:
            yield connection
            if self.weather:
                self.weather.before_commit(self)
        if self.weather:
            self.weather.after_commit(self)


class Disk:
    """The files of one process of tests. Files are made once, and copied to their places for each run.

    The databases' objects live as long as the test process: SQLAlchemy keeps with each what it has put together.
    """

    def __init__(self, clock: Clock) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dtrove-simulation-", dir=MEMORY if MEMORY.is_dir() else None))
        self._clock = clock
        self._databases: dict[str, SimDatabase] = {}

    def database(self, slot: str, service: str, metadata: MetaData) -> SimDatabase:
        """The database of a replica."""
        if slot not in self._databases:
            made = SimDatabase(f"sqlite:///{self._file(service)}", service, metadata, self._clock)
            self._databases[slot] = made
            blank = self._file(f"{service}.blank")
            if not blank.exists():
                self._make_blank(blank, metadata)
        return self._databases[slot]

    def renew(self) -> None:
        """Every file as a new installation has it."""
        for database in self._databases.values():
            database.engine.dispose()
        for service in {database.service for database in self._databases.values()}:
            file = self._file(service)
            for rest in ("-wal", "-shm"):
                file.with_name(file.name + rest).unlink(missing_ok=True)
            shutil.copyfile(self._file(f"{service}.blank"), file)

    def keep(self) -> None:
        """Begin every later run from what the files hold now."""
        for database in self._databases.values():
            database.engine.dispose()
        for service in {database.service for database in self._databases.values()}:
            _checkpoint(self._file(service))
            shutil.copyfile(self._file(service), self._file(f"{service}.blank"))

    def close(self) -> None:
        """Remove them."""
        for database in self._databases.values():
            database.engine.dispose()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.sqlite"

    def _make_blank(self, path: Path, metadata: MetaData) -> None:
        made = SimDatabase(f"sqlite:///{path}", "blank", metadata, self._clock)
        metadata.create_all(made.engine)
        made.engine.dispose()
        _checkpoint(path)


def _checkpoint(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()


def rows(database: Database, statement: Any) -> list[Any]:
    """Look into a database without weather."""
    with database.engine.connect() as connection:
        return list(connection.execute(statement))
