"""The API's own fixtures: the real app over each database engine."""

from __future__ import annotations

import pytest
from sqlalchemy import delete

from services.api.actions import access
from shared.clock import SystemClock
from shared.db import Database
from tests.support.api import Api, open_database


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A database with the API's tables; a test that takes it runs once on each engine."""
    if request.param == "sqlite":
        return open_database(f"sqlite:///{tmp_path_factory.mktemp('api')}/api.sqlite")
    return open_database(request.getfixturevalue("postgres").fresh("api"))


@pytest.fixture
def database(migrated: Database) -> Database:
    """It, as empty as after its first start."""
    migrated.clock = SystemClock()
    with migrated.write() as tx:
        for table in migrated.metadata.tables.values():
            tx.connection.execute(delete(table))
    access.bootstrap(migrated, "")
    return migrated


@pytest.fixture
def api(database: Database) -> Api:
    """The app over it, which has heard of datastores and flavors."""
    made = Api(database)
    made.know_choices()
    return made
