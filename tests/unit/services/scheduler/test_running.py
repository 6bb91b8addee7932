"""What is due is announced once, and the schedule moves on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from sqlalchemy import update

from services.scheduler.actions import keeping, running, schedules
from services.scheduler.store import tables
from shared.clock import ManualClock
from shared.contracts.api import ScheduleRequested
from shared.contracts.backups import BackupCompleted, BackupFailed
from shared.contracts.base import new_id
from shared.contracts.scheduler import BackupDue, ScheduleSet
from shared.contracts.schedules import Outcome, Terms
from shared.contracts.values import Problem
from shared.cron import spread
from shared.db import Database
from tests.support.outbox import said, send_all


def test_a_due_backup_is_announced_once_per_time(database: Database, clock: ManualClock) -> None:
    schedules.add(database, "c1", "p1", "0 * * * *", "UTC", "full")
    assert running.announce_due(database) == 0
    clock.advance(3600)
    assert running.announce_due(database) == 1
    assert running.announce_due(database) == 0
    assert [event.cluster_id for event in said(database, BackupDue)] == ["c1"]


def relay(database: Database) -> list[str]:
    """The operations of all that is sent now, of those that are sent again until they are answered."""
    return [row.operation_id for row in send_all(database) if row.operation_id]


def test_what_nobody_answers_is_said_again_less_and_less_often_and_given_up_after_a_day(
    database: Database, clock: ManualClock
) -> None:
    entry = schedules.add(database, "c1", "p1", "0 0 1 1 *", "UTC", "full")
    clock.advance((entry.next_at - clock.now()).total_seconds())
    assert running.announce_due(database) == 1
    (operation,) = relay(database)
    heard, second = [], 0
    while second < 25 * 3600:
        # Closely as long as it is said often.
        pause = 10 if second < 600 else 60
        second += pause
        clock.advance(pause)
        if running.say_again(database):
            heard.append(second)
            assert relay(database) == [operation]
    assert heard[:2] == [20, 40]
    assert max(later - sooner for sooner, later in pairwise(heard)) <= 660
    assert heard[-1] <= 24 * 3600
    assert len(heard) < 200


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [("completed", Outcome.COMPLETED), ("failed", Outcome.FAILED), ("cancelled", Outcome.CANCELLED)],
)
def test_what_was_answered_is_said_no_more_and_its_outcome_is_told(
    database: Database, clock: ManualClock, answer: str, outcome: Outcome
) -> None:
    schedules.add(database, "c1", "p1", "0 * * * *", "UTC", "full")
    clock.advance(3600)
    running.announce_due(database)
    assert said(database, ScheduleSet)[-1].last.outcome == Outcome.RUNNING
    (operation,) = relay(database)
    if answer == "completed":
        keeping.completed(
            database, BackupCompleted(backup_id="b", cluster_id="c1", operation_id=operation, instance_id="i")
        )
    else:
        problem = Problem(step="backup", message="no room")
        keeping.failed(database, BackupFailed(backup_id="b", cluster_id="c1", operation_id=operation, problem=problem,
                                              cancelled=answer == "cancelled"))  # fmt: skip
    clock.advance(3000)
    assert running.say_again(database) == 0
    last = said(database, ScheduleSet)[-1].last
    assert (last.outcome, last.message) == (outcome, "" if answer == "completed" else "no room")


def test_times_missed_while_the_scheduler_was_down_are_made_up_for_once(database: Database, clock: ManualClock) -> None:
    schedules.add(database, "c1", "p1", "0 * * * *", "UTC", "full")
    clock.advance(10 * 3600)
    assert running.announce_due(database) == 1
    assert running.announce_due(database) == 0


@pytest.mark.parametrize(
    ("day", "cron"),
    [(datetime(2026, 3, 28, 12, tzinfo=UTC), "30 2 * * *"), (datetime(2026, 10, 24, 12, tzinfo=UTC), "30 2 * * *"),
     (datetime(2026, 10, 24, 12, tzinfo=UTC), "0 3 * * *")],
)  # fmt: skip
def test_a_daily_backup_is_made_once_a_day_also_on_the_day_that_clocks_are_changed(
    database: Database, clock: ManualClock, day: datetime, cron: str
) -> None:
    clock.advance((day - clock.now()).total_seconds())
    schedules.add(database, "c1", "p1", cron, "Europe/Berlin", "full")
    number = 0
    for _ in range(3 * 24 * 12):
        clock.advance(300)
        number += running.announce_due(database)
    assert number == 3


def test_a_schedule_without_a_next_time_holds_up_no_other(database: Database, clock: ManualClock) -> None:
    schedules.add(database, "c1", "p1", "0 * * * *", "UTC", "full", "s1")
    schedules.add(database, "c2", "p1", "0 * * * *", "UTC", "full", "s2")
    with database.write() as tx:
        t = tables.schedules
        tx.connection.execute(update(t).where(t.c.id == "s1").values(timezone="Mars/Base"))
    for _ in range(2):
        clock.advance(3600)
        running.announce_due(database)
    assert sorted(event.cluster_id for event in said(database, BackupDue)) == ["c1", "c2", "c2"]


def test_a_schedule_that_is_paused_makes_nothing_and_makes_up_for_nothing(
    database: Database, clock: ManualClock
) -> None:
    def wish(version: int, *, enabled: bool) -> None:
        terms = Terms(cron="0 3 * * *", store="cellar", enabled=enabled)
        schedules.want(database, ScheduleRequested(schedule_id="s1", cluster_id="c1", project_id="p1", version=version, terms=terms))  # fmt: skip

    wish(1, enabled=True)
    wish(2, enabled=False)
    assert said(database, ScheduleSet)[-1].next_at is None
    clock.advance(3 * 24 * 3600)
    assert running.announce_due(database) == 0
    wish(3, enabled=True)
    assert running.announce_due(database) == 0
    clock.advance(24 * 3600)
    assert running.announce_due(database) == 1
    assert said(database, BackupDue)[-1].store == "cellar"


def test_schedules_of_one_time_do_not_begin_in_one_second(database: Database, clock: ManualClock) -> None:
    for _ in range(60):
        schedules.add(database, new_id(), "p1", "0 3 * * *", "UTC", "full")
    clock.advance(15 * 3600 - 1)
    assert running.announce_due(database) == 0
    seconds = [running.announce_due(database) for _ in range(302) if clock.advance(1) is None]
    assert sum(seconds) == 60
    assert max(seconds) <= 5


def test_a_schedule_tells_the_time_at_which_it_really_begins(database: Database) -> None:
    entry = schedules.add(database, "c1", "p1", "0 3 * * *", "UTC", "full")
    assert said(database, ScheduleSet)[-1].next_at == datetime(2026, 3, 29, 3, tzinfo=UTC) + spread(entry.id)
    assert spread(entry.id) < timedelta(minutes=5)
