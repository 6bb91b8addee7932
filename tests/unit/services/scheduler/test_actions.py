"""What is due is announced once, and the schedule moves on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select, update

from services.scheduler import actions
from services.scheduler.store.tables import metadata, schedules
from shared.clock import ManualClock
from shared.contracts.backups import BackupCompleted, BackupFailed
from shared.contracts.datastore_agentless import ClusterDeleted
from shared.contracts.values import Problem
from shared.db import Database
from shared.errors import Invalid
from tests.support.outbox import send_all


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 28, 12, 0, tzinfo=UTC))


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Database:
    made = Database(f"sqlite:///{tmp_path}/s.sqlite", "scheduler", metadata, clock)
    metadata.create_all(made.engine)
    return made


def announced(database: Database) -> list[dict[str, str]]:
    with database.read() as connection:
        return [json.loads(row.body) for row in connection.execute(select(database.outbox))]


def test_a_due_backup_is_announced_once_per_time(database: Database, clock: ManualClock) -> None:
    actions.add(database, "c1", "p1", "0 * * * *", "UTC", "full")
    assert actions.announce_due(database) == 0
    clock.advance(3600)
    assert actions.announce_due(database) == 1
    assert actions.announce_due(database) == 0
    assert [event["cluster_id"] for event in announced(database)] == ["c1"]


def relay(database: Database) -> list[str]:
    """The operations of all that is sent now."""
    return [row.operation_id for row in send_all(database)]


def test_what_nobody_answers_is_said_again_less_and_less_often_and_given_up_after_a_day(
    database: Database, clock: ManualClock
) -> None:
    entry = actions.add(database, "c1", "p1", "0 0 1 1 *", "UTC", "full")
    clock.advance((entry.next_at - clock.now()).total_seconds())
    assert actions.announce_due(database) == 1
    (operation,) = relay(database)
    said, second = [], 0
    while second < 25 * 3600:
        # Closely as long as it is said often.
        pause = 10 if second < 600 else 60
        second += pause
        clock.advance(pause)
        if actions.say_again(database):
            said.append(second)
            assert relay(database) == [operation]
    assert said[:2] == [20, 40]
    assert max(later - sooner for sooner, later in pairwise(said)) <= 660
    assert said[-1] <= 24 * 3600
    assert len(said) < 200


@pytest.mark.parametrize("answer", [BackupCompleted, BackupFailed])
def test_what_was_answered_is_said_no_more(
    database: Database, clock: ManualClock, answer: type[BackupCompleted | BackupFailed]
) -> None:
    actions.add(database, "c1", "p1", "0 * * * *", "UTC", "full")
    clock.advance(3600)
    actions.announce_due(database)
    (operation,) = relay(database)
    rest = {"instance_id": "i"} if answer is BackupCompleted else {"problem": Problem(step="backup", message="no")}
    actions.answered(database, answer(backup_id="b", cluster_id="c1", operation_id=operation, **rest))
    clock.advance(3000)
    assert actions.say_again(database) == 0
    assert actions.of_cluster(database, "c1")[0].said_at is None


def test_times_missed_while_the_scheduler_was_down_are_made_up_for_once(database: Database, clock: ManualClock) -> None:
    actions.add(database, "c1", "p1", "0 * * * *", "UTC", "full")
    clock.advance(10 * 3600)
    assert actions.announce_due(database) == 1
    assert actions.announce_due(database) == 0


def test_a_schedule_follows_its_time_zone_through_daylight_saving() -> None:
    before = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
    first = actions.next_time("30 4 * * *", "Europe/Berlin", before)
    assert first == datetime(2026, 3, 29, 2, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "field"),
    [
        ("every day", "UTC", "cron"),
        ("0 0 31 2 *", "UTC", "cron"),
        ("* * * * * *", "UTC", "cron"),
        ("", "UTC", "cron"),
        ("0 0 * * *" + " " * 200, "UTC", "cron"),
        ("61 0 * * *", "UTC", "cron"),
        ("0 0 * * *", "Mars/Base", "timezone"),
        ("0 0 * * *", "../../etc/passwd", "timezone"),
        ("0 0 * * *", "", "timezone"),
    ],
)
def test_a_bad_schedule_is_refused_by_field(database: Database, cron: str, zone: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        actions.add(database, "c1", "p1", cron, zone, "full")
    assert caught.value.errors[0].field == field


def test_a_kind_of_backup_that_there_is_not_is_refused(database: Database) -> None:
    with pytest.raises(Invalid) as caught:
        actions.add(database, "c1", "p1", "0 0 * * *", "UTC", "partial")
    assert caught.value.errors[0].field == "kind"


def test_a_wish_that_comes_twice_is_one_schedule(database: Database) -> None:
    first = actions.add(database, "c1", "p1", "0 0 * * *", "UTC", "full", "s1")
    assert actions.add(database, "c1", "p1", "0 0 * * *", "UTC", "full", "s1") == first
    assert actions.of_cluster(database, "c1") == [first]


def test_a_schedule_without_a_next_time_holds_up_no_other(database: Database, clock: ManualClock) -> None:
    actions.add(database, "c1", "p1", "0 * * * *", "UTC", "full", "s1")
    actions.add(database, "c2", "p1", "0 * * * *", "UTC", "full", "s2")
    with database.write() as tx:
        gone = update(schedules).where(schedules.c.id == "s1").values(timezone="Mars/Base")
        tx.connection.execute(gone)
    for _ in range(2):
        clock.advance(3600)
        actions.announce_due(database)
    assert [event["cluster_id"] for event in announced(database)] == ["c1", "c2", "c2"]


def test_a_deleted_cluster_has_no_schedules(database: Database) -> None:
    actions.add(database, "c1", "p1", "0 * * * *", "UTC", "full")
    actions.forget_cluster(database, ClusterDeleted(cluster_id="c1", operation_id="o1"))
    assert actions.of_cluster(database, "c1") == []
