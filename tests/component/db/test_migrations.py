"""Each service's migrations make exactly the tables that its code works with."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from shared.db import migrate
from shared.db.engine import make_engine

SERVICES = ("api", "provisioner", "datastore_agentless", "scheduler")


@pytest.mark.parametrize("service", SERVICES)
def test_metadata_and_migrations_do_not_differ(database_url: str, service: str) -> None:
    migrate.upgrade(service, database_url)
    metadata = importlib.import_module(f"services.{service}.store.tables").metadata
    engine = make_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        assert compare_metadata(context, metadata) == []
        unique = {index["name"]: bool(index["unique"]) for name in metadata.tables
                  for index in inspect(connection).get_indexes(name)}  # fmt: skip
    engine.dispose()
    for table in metadata.tables.values():
        for index in table.indexes:
            assert unique[index.name] == index.unique, index.name


def test_a_second_upgrade_changes_nothing(database_url: str) -> None:
    for _ in range(2):
        migrate.upgrade("api", database_url)
    assert not migrate.pending("api", database_url)


def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    program = "import sys; from shared.db import migrate; migrate.upgrade('scheduler', sys.argv[1])"
    rivals = [subprocess.Popen([sys.executable, "-c", program, database_url]) for _ in range(3)]
    assert [rival.wait(60) for rival in rivals] == [0, 0, 0]
    assert not migrate.pending("scheduler", database_url)
