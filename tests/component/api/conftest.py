"""The API's own fixtures: the real app over each database engine."""

from __future__ import annotations

import pytest

from shared.db import Database
from tests.support.api import Api, open_database


@pytest.fixture
def database(database_url: str) -> Database:
    return open_database(database_url)


@pytest.fixture
def api(database: Database) -> Api:
    made = Api(database)
    made.know_choices()
    return made
