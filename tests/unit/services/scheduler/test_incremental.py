"""Incremental schedules: a full backup now and then, and what has changed in between."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.scheduler.actions import keeping, running, schedules
from shared.clock import ManualClock
from shared.contracts.api import ScheduleRequested
from shared.contracts.backups import BackupCompleted, BackupFailed, BackupStarted
from shared.contracts.scheduler import BackupDue, BackupExpired, ScheduleSet
from shared.contracts.schedules import Retention, Terms
from shared.contracts.values import Problem
from shared.db import Database
from tests.support.outbox import said

DAY = timedelta(days=1).total_seconds()


def want(database: Database, version: int = 1, **terms: object) -> None:
    """Each night, incremental, unless something else is said."""
    chosen = Terms(**{"cron": "0 3 * * *", "kind": "incremental", "retention": Retention(days=3), **terms})  # type: ignore[arg-type]
    schedules.want(
        database, ScheduleRequested(schedule_id="s1", cluster_id="c1", project_id="p1", version=version, terms=chosen)
    )


def due(database: Database, clock: ManualClock) -> BackupDue:
    """The next one."""
    clock.advance(DAY)
    assert running.announce_due(database) == 1
    event: BackupDue = said(database, BackupDue)[-1]
    return event


def make(
    database: Database, clock: ManualClock, event: BackupDue, *, kind: str = "", base: str = "", message: str = ""
) -> None:
    """It takes half an hour, and comes to a good end."""
    about = {"backup_id": event.backup_id, "cluster_id": "c1", "project_id": "p1", "operation_id": event.operation_id, "instance_id": "i",
             "kind": kind or event.kind, "store": "local", "base_id": base, "schedule_id": "s1", "message": message}  # fmt: skip
    keeping.started(database, BackupStarted(**about, occurred_at=clock.now()))
    keeping.completed(database, BackupCompleted(**about, occurred_at=clock.now() + timedelta(minutes=30)))


def nights(database: Database, clock: ManualClock, number: int, last: str = "") -> list[str]:
    """What is made in so many nights, each upon the one before it."""
    kinds = []
    for _ in range(number):
        event = due(database, clock)
        make(database, clock, event, base=last if event.kind == "incremental" else "")
        kinds.append(event.kind[:4])
        last = event.backup_id
    return kinds


@pytest.mark.parametrize(
    ("terms", "kinds"),
    [({}, ["full", *["incr"] * 6, "full", *["incr"] * 6, "full"]), ({"full_days": 1}, ["full"] * 15),
     ({"full_days": 3}, ["full", "incr", "incr"] * 5), ({"kind": "full"}, ["full"] * 15)],
)  # fmt: skip
def test_a_full_one_is_made_first_and_then_whenever_the_last_is_so_many_days_old(
    database: Database, clock: ManualClock, terms: dict[str, object], kinds: list[str]
) -> None:
    want(database, **terms)
    assert nights(database, clock, 15) == kinds
    assert said(database, ScheduleSet)[-1].terms.full_days == terms.get("full_days", 7)


def test_a_full_one_that_fails_is_followed_by_another_full_one(database: Database, clock: ManualClock) -> None:
    want(database)
    for _ in range(2):
        event = due(database, clock)
        assert event.kind == "full"
        failed = BackupFailed(backup_id=event.backup_id, cluster_id="c1", operation_id=event.operation_id,
                              problem=Problem(step="send", message="no room"))  # fmt: skip
        keeping.failed(database, failed)
    make(database, clock, due(database, clock))
    assert due(database, clock).kind == "incremental"


def test_what_became_a_full_one_counts_as_such_and_the_schedule_says_why(
    database: Database, clock: ManualClock
) -> None:
    want(database)
    nights(database, clock, 5)
    event = due(database, clock)
    assert event.kind == "incremental"
    make(database, clock, event, kind="full", message="a full one in place of an incremental one: its node is gone")
    last = said(database, ScheduleSet)[-1].last
    assert (last.outcome, last.message) == ("completed", "a full one in place of an incremental one: its node is gone")
    assert nights(database, clock, 7, event.backup_id) == [*["incr"] * 6, "full"]


def test_a_users_own_full_one_does_not_put_off_that_of_a_schedule(database: Database, clock: ManualClock) -> None:
    want(database)
    nights(database, clock, 6)
    about = {"backup_id": "by-hand", "cluster_id": "c1", "project_id": "p1", "operation_id": "o", "instance_id": "i"}
    keeping.completed(database, BackupCompleted(**about, occurred_at=clock.now()))
    assert nights(database, clock, 2) == ["incr", "full"]


def test_a_chain_stays_until_its_last_one_has_been_kept_for_long_enough(database: Database, clock: ManualClock) -> None:
    want(database)
    nights(database, clock, 7)
    assert said(database, BackupExpired) == [], "each but the last is built upon"
    nights(database, clock, 4)
    gone = [one.backup_id for one in said(database, BackupExpired)]
    assert gone == [said(database, BackupDue)[6].backup_id], "the end of the first chain goes first"
