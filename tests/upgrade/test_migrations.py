"""A service's database moves to the next version while work is in flight, and an older service still works on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import inspect, select

from services.provisioner.store.tables import metadata
from shared.contracts.provisioner import InstanceDeleted
from shared.db import Database, migrate
from shared.db.outbox import Outbox
from shared.engine import StepEngine
from shared.workflow import Next, Outcome, Step, StepContext, TaskDraft, Workflow

Upgrade = Callable[[str, str], None]


@pytest.fixture
def database(database_url: str) -> Database:
    migrate.upgrade("provisioner", database_url)
    return Database(database_url, "provisioner", metadata)


def columns(database: Database) -> set[str]:
    return {column["name"] for column in inspect(database.engine).get_columns("tasks")}


def finished(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        return [(row.id, row.status) for row in connection.execute(select(database.tasks))]


def test_an_operation_in_flight_goes_on_while_its_database_is_migrated(
    database: Database, next_release: Upgrade
) -> None:
    ran: list[str] = []

    def step(name: str, meanwhile: Callable[[], None] = lambda: None) -> Step:
        def run(_: StepContext) -> Outcome:
            meanwhile()
            ran.append(name)
            return Next(save=lambda tx: tx.emit(InstanceDeleted(instance_id=name, cluster_id="c", operation_id="o")))

        return Step(name, run)

    steps = (step("first"), step("second", lambda: next_release("provisioner", database.url)), step("third"))
    with database.write() as tx:
        tx.file(TaskDraft("t", "work", "s", "c", "o"))
    engine = StepEngine(database, {"work": Workflow("work", steps)})
    while engine.run_due() == 0:
        continue
    assert "colour" in columns(database)
    assert ran == ["first", "second", "third"]
    assert finished(database) == [("t", "succeeded")]
    with Outbox(database).batch(100) as batch:
        assert [row.routing_key for row in batch.rows].count("instance.deleted") == 3


def test_what_was_filed_before_a_migration_is_worked_on_after_it(database: Database, next_release: Upgrade) -> None:
    with database.write() as tx:
        tx.file(TaskDraft("t", "work", "s", "c", "o"))
    next_release("provisioner", database.url)
    later = Database(database.url, "provisioner", metadata)
    engine = StepEngine(later, {"work": Workflow("work", (Step("only", lambda _: Next()),))})
    while engine.run_due() == 0:
        continue
    assert finished(later) == [("t", "succeeded")]


def test_a_service_starts_on_a_database_that_a_newer_one_has_migrated(
    database: Database, next_release: Upgrade
) -> None:
    next_release("provisioner", database.url)
    assert migrate.current_at(database.url) not in migrate.versions("provisioner").known
    migrate.upgrade("provisioner", database.url)
    assert "colour" in columns(database)
    with database.write() as tx:
        assert tx.file(TaskDraft("t", "work", "s", "c", "o"))
