"""The console before the real API, over SQLite, and browsers that look at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import delete

from services.api.actions import access
from services.api.app import make_site
from shared.clock import SystemClock
from shared.db import Database
from tests.support.api import Api, open_database
from tests.support.browser import Browser


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A database with the API's tables."""
    return open_database(f"sqlite:///{tmp_path_factory.mktemp('console')}/api.sqlite")


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
    """The API, which has heard of datastores and flavors."""
    made = Api(database)
    made.know_choices()
    return made


@pytest.fixture
def open_browser(api: Api) -> Callable[..., Browser]:
    """Opens a browser, and signs in by a token; an empty one stays out."""
    site = make_site(api.context)

    def opened(token: str = "") -> Browser:
        browser = Browser(site)
        if token:
            browser.sign_in(token)
        return browser

    return opened


@pytest.fixture
def member(api: Api, open_browser: Callable[..., Browser]) -> Browser:
    """A browser in which a member is signed in."""
    return open_browser(api.member)


@pytest.fixture
def admin(api: Api, open_browser: Callable[..., Browser]) -> Browser:
    """A browser in which an administrator is signed in."""
    return open_browser(api.admin)
