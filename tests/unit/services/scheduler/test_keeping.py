"""Backups are told to go once they have been kept for long enough, until somebody says that they are gone."""

from __future__ import annotations

from typing import Any

import pytest

from services.scheduler.actions import beginning, keeping, running, schedules
from services.scheduler.store import tables
from shared.clock import ManualClock
from shared.contracts.api import ScheduleRequested
from shared.contracts.backups import (
    BackupCompleted,
    BackupDeleted,
    BackupDeleteFailed,
    BackupFailed,
    BackupStarted,
)
from shared.contracts.datastore_agentless import ClusterDeleted
from shared.contracts.scheduler import BackupExpired
from shared.contracts.schedules import Retention, Terms
from shared.contracts.values import Problem
from shared.db import Database
from tests.support.outbox import rows, said, send_all

DAY = 24 * 3600
PROBLEM = Problem(step="delete", message="the store is away")


@pytest.fixture
def kept(database: Database) -> Database:
    """A schedule that keeps two."""
    _want(database, 1, count=2)
    return database


def _want(database: Database, version: int, *, enabled: bool = True, **keeps: Any) -> None:
    terms = Terms(cron="0 3 * * *", retention=Retention(**keeps), enabled=enabled)
    wish = ScheduleRequested(schedule_id="s1", cluster_id="c1", project_id="p1", version=version, terms=terms)
    schedules.want(database, wish)


def complete(database: Database, clock: ManualClock, name: str, base: str = "", schedule: str = "s1") -> None:
    """A backup is made, and a day passes."""
    keeping.completed(
        database,
        BackupCompleted(backup_id=name, cluster_id="c1", project_id="p1", operation_id=f"make-{name}", instance_id="i",
                        base_id=base, schedule_id=schedule, occurred_at=clock.now()),
    )  # fmt: skip
    clock.advance(DAY)


def delete(database: Database, name: str) -> None:
    keeping.deleted(database, BackupDeleted(backup_id=name, cluster_id="c1", operation_id="x"))


def expired(database: Database) -> list[str]:
    return [one.backup_id for one in said(database, BackupExpired)]


def test_the_third_of_two_expires_the_first(kept: Database, clock: ManualClock) -> None:
    for name in ("b1", "b2", "b3"):
        complete(kept, clock, name)
    (event,) = said(kept, BackupExpired)
    assert (event.backup_id, event.schedule_id, event.cluster_id, event.project_id) == ("b1", "s1", "c1", "p1")
    assert len(event.operation_id) == 36


def test_a_chain_goes_from_its_end_as_each_is_gone(kept: Database, clock: ManualClock) -> None:
    complete(kept, clock, "full")
    complete(kept, clock, "one", "full")
    for name in ("new", "newer"):
        complete(kept, clock, name)
    assert expired(kept) == ["one"]
    complete(kept, clock, "newest")
    assert expired(kept) == ["one", "new"]
    delete(kept, "one")
    assert expired(kept) == ["one", "new", "full"]


def test_what_another_schedule_or_a_user_has_built_upon_it_counts_as_well(kept: Database, clock: ManualClock) -> None:
    complete(kept, clock, "full")
    complete(kept, clock, "by-hand", "full", schedule="")
    for name in ("b1", "b2"):
        complete(kept, clock, name)
    assert expired(kept) == []
    delete(kept, "by-hand")
    assert expired(kept) == ["full"]


def test_what_is_being_made_keeps_its_base_until_it_has_failed(kept: Database, clock: ManualClock) -> None:
    complete(kept, clock, "full")
    start = BackupStarted(backup_id="coming", cluster_id="c1", project_id="p1", operation_id="o", instance_id="i",
                          kind="incremental", store="local", base_id="full", schedule_id="s1", occurred_at=clock.now())  # fmt: skip
    keeping.started(kept, start)
    for name in ("b1", "b2"):
        complete(kept, clock, name)
    assert expired(kept) == []
    keeping.failed(kept, BackupFailed(backup_id="coming", cluster_id="c1", operation_id="o", problem=PROBLEM))
    complete(kept, clock, "b3")
    assert expired(kept) == ["b1", "full"]


def test_it_is_told_to_go_again_until_it_is_gone(kept: Database, clock: ManualClock) -> None:
    for name in ("b1", "b2", "b3"):
        complete(kept, clock, name)
    send_all(kept)
    clock.advance(-DAY + 30)
    assert running.say_again(kept) == 1
    assert [row.routing_key for row in send_all(kept)] == ["backup.expired"]
    delete(kept, "b1")
    clock.advance(3600)
    assert running.say_again(kept) == 0
    assert [row.id for row in rows(kept, tables.backups)] == ["b2", "b3"]


def test_what_could_not_be_deleted_is_told_to_go_again_the_next_day(kept: Database, clock: ManualClock) -> None:
    for name in ("b1", "b2", "b3"):
        complete(kept, clock, name)
    clock.advance(-DAY)
    refused = BackupDeleteFailed(backup_id="b1", cluster_id="c1", operation_id="x", problem=PROBLEM)
    keeping.not_deleted(kept, refused)
    clock.advance(3600)
    assert running.say_again(kept) == keeping.sweep(kept) == 0
    clock.advance(DAY)
    assert keeping.sweep(kept) == 1
    first, second = said(kept, BackupExpired)
    assert first.backup_id == second.backup_id == "b1"
    assert first.operation_id != second.operation_id


def test_days_pass_also_while_a_schedule_is_paused_but_for_the_last_good_one(
    database: Database, clock: ManualClock
) -> None:
    _want(database, 1, days=3)
    for name in ("b1", "b2"):
        complete(database, clock, name)
    _want(database, 2, enabled=False, days=3)
    clock.advance(10 * DAY)
    keeping.sweep(database)
    assert expired(database) == ["b1"]
    delete(database, "b1")
    keeping.sweep(database)
    assert expired(database) == ["b1"]


@pytest.mark.parametrize(("keeps", "days"), [({"count": 2}, 30), ({"count": 1, "days": 5}, 5)])
def test_backups_outlive_their_cluster_until_their_days_are_over(
    database: Database, clock: ManualClock, keeps: dict[str, int], days: int
) -> None:
    _want(database, 1, **keeps)
    complete(database, clock, "b1")
    beginning.deleted(database, ClusterDeleted(cluster_id="c1", operation_id="o"))
    clock.advance((days - 2) * DAY)
    keeping.sweep(database)
    keeping.forget_old(database)
    assert expired(database) == []
    clock.advance(2 * DAY)
    keeping.sweep(database)
    assert expired(database) == ["b1"]
    delete(database, "b1")
    clock.advance(15 * DAY)
    keeping.forget_old(database)
    assert [rows(database, table) for table in (tables.backups, tables.schedules, tables.clusters)] == [[], [], []]


def test_a_word_that_comes_twice_or_late_counts_once(kept: Database, clock: ManualClock) -> None:
    done = BackupCompleted(backup_id="b1", cluster_id="c1", project_id="p1", operation_id="o", instance_id="i",
                           schedule_id="s1", occurred_at=clock.now())  # fmt: skip
    begun = BackupStarted(backup_id="b1", cluster_id="c1", project_id="p1", operation_id="o", instance_id="i",
                          kind="full", store="local", schedule_id="s1", occurred_at=clock.now())  # fmt: skip
    keeping.completed(kept, done)
    keeping.completed(kept, done)
    keeping.started(kept, begun)
    assert [(row.id, row.state) for row in rows(kept, tables.backups)] == [("b1", "completed")]
