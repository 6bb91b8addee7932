"""The machinery's database alone, on both engines; and a PostgreSQL that may be stopped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, String, Table

from shared.clock import Clock
from shared.db import Database
from tests.support.postgres import PrivatePostgres

Open = Callable[..., Database]


def open_database(url: str, clock: Clock | None = None) -> Database:
    """One process's view of the database at `url`: each call is another process, as far as the engine can tell."""
    metadata = MetaData()
    Table("effects", metadata, Column("id", String(64), primary_key=True), Column("what", String(64)))
    return Database(url, "tester", metadata, clock)


@pytest.fixture
def database(database_url: str) -> Database:
    """An empty database with its tables."""
    made = open_database(database_url)
    with made.write() as tx:
        made.metadata.create_all(tx.connection)
    return made


@pytest.fixture(scope="module")
def fragile() -> Iterator[PrivatePostgres]:
    """A PostgreSQL of a module's own, to be stopped."""
    server = PrivatePostgres(Path(tempfile.mkdtemp(prefix="dtrove-fragile-")))
    server.start()
    yield server
    server.stop()
