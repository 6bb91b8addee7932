"""After a restore nothing is done to servers or databases before a person has compared: then all of it goes on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select, update

from client.local import checks
from client.local.control_plane import marks
from client.local.control_plane.backing_up import back_up
from client.local.control_plane.places import Installation
from client.local.control_plane.restoring import EPOCHS, restore, resume
from services.api.actions.reminding import remind
from services.datastore_agentless.store import archives, tables, watches
from shared.clock import ManualClock, SystemClock
from shared.db import Database, Sealed, tasks
from shared.db.setting_back import Waiting
from shared.secrets import KeyringFile
from tests.component.control_plane.lived import Pair, opened
from tests.component.watching.conftest import serve

LATER = timedelta(days=400)


def watched(database: Database) -> list[str]:
    """Clusters that would be looked at, now or in a year."""
    with database.read() as connection:
        return watches.due(connection, SystemClock().now() + LATER, False, 10)


def archived(database: Database) -> bool:
    with database.read() as connection:
        return archives.is_due(connection, SystemClock().now() + LATER)


def reminded(database: Database) -> list[str]:
    """Of which operations it is asked, however long nobody has spoken."""
    database.clock = ManualClock(SystemClock().now() + LATER)
    try:
        return remind(database)
    finally:
        database.clock = SystemClock()


def test_no_cluster_is_watched_no_log_fetched_and_nobody_reminded_until_that_is_wished(
    archive: Path, old: Installation, pair: Pair, fresh: Installation
) -> None:
    restore(fresh, archive, pair.key)
    Sealed.keyring = KeyringFile(fresh.keyring)
    datastores, api = opened(fresh, "datastore_agentless"), opened(fresh, "api")
    assert (watched(datastores), archived(datastores), reminded(api)) == ([], False, [])
    resume(fresh)
    assert watched(datastores) == ["c-old"]
    assert archived(datastores)
    assert reminded(api) == ["o-old"]
    for database in (datastores, api):
        database.engine.dispose()


def test_a_cluster_that_nobody_watched_yet_is_not_taken_up_either(archive: Path, pair: Pair, fresh: Installation,
                                                                  old: Installation, tmp_path: Path) -> None:  # fmt: skip
    database = opened(old, "datastore_agentless")
    serve(database, "c-new")
    database.engine.dispose()
    restore(fresh, back_up(old, tmp_path / "second.age", pair.lock).path, pair.key)
    database = opened(fresh, "datastore_agentless")
    with database.read() as connection:
        assert watches.unwatched(connection) == []
    assert watched(database) == []
    resume(fresh)
    assert sorted(watched(database)) == ["c-new", "c-old"]
    database.engine.dispose()


def test_epochs_are_beyond_those_of_then_also_of_logs_and_of_what_was_never_claimed(
    archive: Path, pair: Pair, fresh: Installation
) -> None:
    restore(fresh, archive, pair.key)
    for place in fresh.databases:
        database = place.database()
        with database.read() as connection:
            fences = {row.subject: row.value for row in connection.execute(select(database.fences))}
        assert fences["claimed"] >= EPOCHS + 3
        assert fences[tasks.FLOOR] >= EPOCHS
        database.engine.dispose()
    database = opened(fresh, "datastore_agentless")
    with database.write() as tx:
        epoch = tx.connection.execute(select(tables.archives.c.epoch)).scalar_one()
        assert epoch > EPOCHS
        archives.enrol(tx, "c-later", "p")
        found = archives.find(tx.connection, "c-later")
    database.engine.dispose()
    assert found is not None
    assert found.epoch >= EPOCHS


def test_what_waits_is_counted_and_told_until_it_goes_on(archive: Path, pair: Pair, fresh: Installation) -> None:
    done = restore(fresh, archive, pair.key)
    # Two tasks and one message of each service, and what the scheduler had to say of its schedule.
    assert (done.waiting.tasks, done.waiting.messages >= 4) == (8, True)
    told = checks._own_state(fresh.home)
    assert told.status == "warning"
    assert "8 tasks" in told.message
    assert "dtrove control-plane resume" in told.what_to_do
    assert resume(fresh) == done.waiting
    assert checks._own_state(fresh.home).status == "ok"
    assert resume(fresh) == Waiting()


def test_an_older_copy_of_dtrove_is_refused_by_hosts_that_have_heard_the_newer_one(
    archive: Path, old: Installation, pair: Pair, fresh: Installation
) -> None:
    restore(fresh, archive, pair.key)
    resume(fresh)

    def claimed(installation: Installation) -> int:
        database = opened(installation, "provisioner")
        with database.write() as tx:
            task = tasks.claim(tx, "claimed-old", "claimed", "w2", 10.0)
        database.engine.dispose()
        assert task is not None
        return task.epoch

    assert claimed(fresh) > claimed(old) + EPOCHS / 2


def test_the_word_of_a_copy_that_is_old_is_a_warning(old: Installation, archive: Path) -> None:
    assert checks._own_state(old.home).status == "ok"
    said = marks.read(old.home, marks.LAST)
    assert said is not None
    marks.write(old.home, marks.LAST, said | {"at": (SystemClock().now() - timedelta(days=9)).isoformat()})
    told = checks._own_state(old.home)
    assert told.status == "warning"
    assert "copied 9d ago" in told.message
    assert str(archive) in told.message


def test_what_ended_before_the_copy_stays_ended(
    old: Installation, pair: Pair, fresh: Installation, tmp_path: Path
) -> None:
    for place in old.databases:
        database = place.database()
        with database.write() as tx:
            tx.connection.execute(update(database.tasks).values(status="succeeded"))
        database.engine.dispose()
    restore(fresh, back_up(old, tmp_path / "second.age", pair.lock).path, pair.key)
    resume(fresh)
    for place in fresh.databases:
        database = place.database()
        with database.read() as connection:
            query = select(func.count()).select_from(database.tasks).where(database.tasks.c.status == tasks.OPEN)
            assert connection.execute(query).scalar_one() == 0
        database.engine.dispose()
