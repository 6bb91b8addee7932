"""Fixtures for all: a RabbitMQ and a PostgreSQL of the suite's own, each started once, when a test first asks."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from client.rabbitmq import PrivateRabbit
from tests.support.blanks import Blanks
from tests.support.installation import Installation
from tests.support.postgres import PrivatePostgres
from tests.support.rabbit import running

pytest_plugins = ("tests.support.faults",)


@event.listens_for(Pool, "checkout")
def spare_the_disk(connection: Any, record: Any, _proxy: Any) -> None:
    """No power fails in a test: what this process writes into SQLite is not waited for until it lies on the disk.

    The services of an installation are other processes: those write as everywhere.
    """
    if isinstance(connection, sqlite3.Connection) and not record.info.get("spared"):
        connection.execute("PRAGMA synchronous=OFF")
        record.info["spared"] = True


class AtOnce:
    """Tells of each failed test as it fails, and why: a run that is cut off has no summary. And what a test has measured."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if report.when == "call":
            for name, words in report.user_properties:
                terminal.write_line(f"\n{name}: {words}")
        if report.failed:
            terminal.write_line(f"\nFAILED {report.nodeid} ({report.when})\n{report.longreprtext[-2000:]}", red=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """What can be said of the console's tests in a browser."""
    parser.addoption("--screenshots", default="var/screenshots", metavar="FOLDER",
                     help="where the tests in a browser keep pictures of pages; what was in it before goes")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Only where results come together: not in each of the processes that run tests side by side."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(AtOnce(config))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two for each core: real hosts and databases are waited for more than they are worked with."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes: what is quick then fills the time of whichever worker is done first."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


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
def engine_name(request: pytest.FixtureRequest) -> str:
    """A test that takes it runs once on each engine that services may keep their data in."""
    return str(request.param)


@pytest.fixture
def database_url(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on each engine."""
    if engine_name == "sqlite":
        return f"sqlite:///{tmp_path}/test.sqlite"
    return str(request.getfixturevalue("postgres").fresh(request.node.name))


@pytest.fixture(scope="session")
def blanks(tmp_path_factory: pytest.TempPathFactory) -> Blanks:
    """Where databases come from that are migrated already."""
    return Blanks(tmp_path_factory.mktemp("blanks"))


@pytest.fixture
def with_tables(
    engine_name: str, blanks: Blanks, request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[str], str]:
    """Makes a service's database with its tables, and returns its URL, on each engine."""
    if engine_name == "sqlite":
        return lambda service: blanks.file(service, tmp_path)
    return lambda service: blanks.on(request.getfixturevalue("postgres"), service)
