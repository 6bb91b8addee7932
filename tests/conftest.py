"""Fixtures for all: a RabbitMQ and a PostgreSQL of the suite's own, each started once, when a test first asks."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from client.rabbitmq import PrivateRabbit
from tests.support.installation import Installation
from tests.support.postgres import PrivatePostgres
from tests.support.rabbit import running

pytest_plugins = ("tests.support.faults",)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show with a failed test what the services it worked with have logged: their files go with them."""
    report = yield
    if report.failed and report.when != "teardown":
        for name, used in getattr(item, "funcargs", {}).items():
            if isinstance(used, Installation):
                report.sections.append((f"logs of {name}", used.logs(40)))
    return report


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbit]:
    """A running RabbitMQ that nobody else uses."""
    with running(PrivateRabbit(tmp_path_factory.mktemp("rabbit"))) as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """A running PostgreSQL that nobody else uses."""
    # Not among pytest's own directories: any other session that begins shuts them to the server's user.
    server = PrivatePostgres(Path(tempfile.mkdtemp(prefix="dtrove-postgres-")))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database; a test that takes it runs once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.sqlite"
    return str(request.getfixturevalue("postgres").fresh(request.node.name))
