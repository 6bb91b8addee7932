"""What a service tells of itself: its database and that one's clock, its version, its outbox, its secrets, its open work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from services.provisioner.store.tables import instances, metadata
from shared.clock import ManualClock, SystemClock
from shared.contracts.base import dump, load
from shared.contracts.provisioner import InstanceDeleted
from shared.contracts.state import Sealing, ServiceState
from shared.db import Database, Sealed, migrate
from shared.secrets import Keyring, KeyringFile, Secret, new_key, read_keyring, write_keyring
from shared.state import StateOf
from shared.workflow import TaskDraft


@pytest.fixture
def file(tmp_path: Path) -> Iterator[KeyringFile]:
    write_keyring(tmp_path / "keyring", Keyring((new_key(),)))
    before = Sealed.keyring
    Sealed.keyring = KeyringFile(tmp_path / "keyring")
    yield Sealed.keyring
    Sealed.keyring = before


@pytest.fixture
def database(database_url: str) -> Database:
    """The provisioner's, brought up to date."""
    migrate.upgrade("provisioner", database_url)
    return Database(database_url, "provisioner", metadata, ManualClock(datetime.now(UTC)))


@pytest.fixture
def states(database: Database, file: KeyringFile, tmp_path: Path) -> StateOf:
    return StateOf(database, str(tmp_path), file)


def add_secrets(database: Database, count: int) -> None:
    with database.write() as tx:
        for _ in range(count):
            number = tx.connection.execute(text("select count(*) from instances")).scalar_one()
            tx.connection.execute(
                insert(instances).values(
                    id=str(number), cluster_id="c", project_id="p", operation_id="o", name="n", image="i", flavor={},
                    status="active", reach={}, created_at=database.clock.now(), host_key_private=Secret(f"key {number}"),
                )
            )  # fmt: skip


def test_a_service_that_has_just_begun_has_nothing_to_complain_of(states: StateOf) -> None:
    state = states.state()
    assert (state.service, state.database, state.keyring) == ("provisioner", "", "")
    assert state.revision is not None
    assert state.revision.database == state.revision.code != ""
    assert state.revision.known
    assert state.outbox.messages == 0
    assert state.secrets == Sealing()
    assert state.disk is not None
    assert 0 < state.disk.free_bytes <= state.disk.total_bytes
    assert load(ServiceState, dump(state)) == state


def test_the_age_and_the_trouble_of_the_oldest_message_are_told(states: StateOf, database: Database) -> None:
    for _ in range(2):
        with database.write() as tx:
            tx.emit(InstanceDeleted(instance_id="i", cluster_id="c", operation_id="o"))
        database.clock.sleep(30)
    with database.write() as tx:
        tx.connection.execute(database.outbox.update().values(error="no queue is bound"))
    outbox = states.state().outbox
    assert (outbox.messages, outbox.error) == (2, "no queue is bound")
    assert outbox.oldest_seconds == pytest.approx(60, abs=1)
    with database.write() as tx:
        tx.connection.execute(database.outbox.update().values(due_at=None))
    assert states.state().outbox.messages == 0


def test_the_work_of_the_operations_that_are_asked_for_is_told_and_no_other(
    states: StateOf, database: Database
) -> None:
    with database.write() as tx:
        for number in ("1", "2"):
            tx.file(TaskDraft(id=number, kind="build", subject=number, cluster_id="c", operation_id=f"o-{number}"))
        leased = {"lease_until": database.clock.now() + timedelta(seconds=9), "step": "create", "message": "busy"}
        tx.connection.execute(database.tasks.update().where(database.tasks.c.id == "2").values(**leased))
    assert states.state().tasks == ()
    (one,) = states.state(["o-2", "o-9"]).tasks
    assert (one.operation_id, one.step, one.message, one.worked_on) == ("o-2", "create", "busy", True)
    database.clock.sleep(10)
    assert not states.state(["o-2"]).tasks[0].worked_on


def test_secrets_are_counted_by_the_keys_that_open_them(states: StateOf, database: Database, file: KeyringFile) -> None:
    add_secrets(database, 3)
    assert states.state().secrets == Sealing(total=3)
    old = read_keyring(file.path)
    write_keyring(file.path, Keyring((new_key(), *old.keys)))
    add_secrets(database, 1)
    assert states.state().secrets == Sealing(total=4, old=3)
    write_keyring(file.path, Keyring((new_key(),)))
    assert states.state().secrets == Sealing(total=4, unreadable=4)
    write_keyring(file.path, Keyring(old.keys))
    assert states.state().secrets == Sealing(total=4, unreadable=1)


def test_many_secrets_are_counted_by_the_ticker_alone_and_rarely(
    states: StateOf, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.state.COUNTED_WHILE_ASKED", 2)
    add_secrets(database, 3)
    assert states.state().secrets is None
    states.count_secrets()
    assert states.state().secrets == Sealing(total=3)
    add_secrets(database, 1)
    assert states.state().secrets == Sealing(total=3)
    states.count_secrets()
    assert states.state().secrets == Sealing(total=4)


def test_a_keyring_that_is_gone_or_damaged_is_told_while_the_last_good_one_serves(
    states: StateOf, database: Database, file: KeyringFile
) -> None:
    add_secrets(database, 1)
    assert states.state().keyring == ""
    file.path.write_text("no key\n")
    assert "no key" in states.state().keyring
    file.path.unlink()
    state = states.state()
    assert state.keyring.startswith("no keyring at")
    assert (state.database, state.secrets) == ("", Sealing(total=1))


def test_a_database_of_another_version_is_told_and_whether_the_code_knows_that_one(
    states: StateOf, database: Database
) -> None:
    with database.write() as tx:
        tx.connection.execute(text("update alembic_version set version_num = '9999'"))
    revision = states.state().revision
    assert revision is not None
    assert (revision.database, revision.known) == ("9999", False)


def test_the_databases_clock_is_held_against_the_services(states: StateOf, database: Database) -> None:
    if not database.locks_rows:
        # SQLite has no clock of its own.
        assert states.state().database_ahead is None
        return
    database.clock = SystemClock()
    ahead = states.state().database_ahead
    assert ahead is not None
    assert abs(ahead) < 5
    database.clock = ManualClock(datetime.now(UTC) - timedelta(hours=1))
    ahead = states.state().database_ahead
    assert ahead is not None
    assert ahead == pytest.approx(3600, abs=30)


def test_a_service_whose_database_is_away_still_says_so(file: KeyringFile, tmp_path: Path) -> None:
    away = Database(f"sqlite:///{tmp_path}/no/such/folder/x.sqlite", "provisioner", metadata)
    state = StateOf(away, str(tmp_path), file).state()
    assert state.database == "the database does not answer"
    assert state.revision is None
    assert state.disk is not None


def test_a_service_without_secrets_has_nothing_to_say_of_them(database_url: str) -> None:
    from services.scheduler.store.tables import metadata as tables

    migrate.upgrade("scheduler", database_url)
    state = StateOf(Database(database_url, "scheduler", tables)).state()
    assert (state.has_keyring, state.keyring, state.secrets, state.disk) == (False, "", None, None)
