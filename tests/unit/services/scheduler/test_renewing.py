"""A backup that is damaged is followed by a full one, once, where somebody wants backups to be made by themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.scheduler.actions import beginning, keeping
from services.scheduler.actions.renewing import AT_MOST_EVERY
from services.scheduler.store import tables
from shared.clock import ManualClock
from shared.contracts.backups import BackupCompleted, BackupFailed
from shared.contracts.datastore_agentless import ClusterDeleted
from shared.contracts.scheduler import BackupDue
from shared.contracts.schedules import Retention
from shared.contracts.values import Problem
from shared.db import Database
from tests.support.outbox import rows, said
from tests.unit.services.scheduler.test_incremental import due, make, nights, want
from tests.unit.services.scheduler.test_keeping import complete, expired

GONE = Problem(step="restore", message="part 1 is missing in the store local")


def damage(database: Database, backup: str, *, event_id: str = "") -> None:
    """It is found damaged."""
    chosen = {"event_id": event_id} if event_id else {}
    event = BackupFailed(backup_id=backup, cluster_id="c1", operation_id="verify", problem=GONE, damaged=True, **chosen)
    keeping.failed(database, event)


def renewed(database: Database) -> list[BackupDue]:
    """What is due in the place of a damaged one: no time of a schedule has come for it."""
    scheduled = {row.last_operation_id for row in rows(database, tables.schedules)}
    return [one for one in said(database, BackupDue) if one.operation_id not in scheduled and one.kind == "full"]


def made(database: Database, clock: ManualClock, name: str, base: str = "", schedule: str = "s1") -> None:
    keeping.completed(
        database,
        BackupCompleted(backup_id=name, cluster_id="c1", project_id="p1", operation_id=f"make-{name}", instance_id="i",
                        kind="incremental" if base else "full", base_id=base, schedule_id=schedule, occurred_at=clock.now()),
    )  # fmt: skip
    clock.advance(3600)


@pytest.fixture
def kept(database: Database, clock: ManualClock) -> Database:
    """Each night a backup; `full`, and upon it `one`."""
    want(database)
    made(database, clock, "full")
    made(database, clock, "one", "full")
    return database


@pytest.mark.fault(22)
def test_a_damaged_backup_is_followed_by_a_full_one_of_its_schedule(kept: Database) -> None:
    damage(kept, "one")
    (event,) = renewed(kept)
    assert (event.cluster_id, event.project_id, event.schedule_id, event.kind) == ("c1", "p1", "s1", "full")


@pytest.mark.fault(22)
def test_a_chain_that_is_damaged_is_followed_by_one_backup_however_often_that_is_said(kept: Database) -> None:
    for backup in ("one", "full", "one"):
        damage(kept, backup, event_id=f"said-of-{backup}")
    assert len(renewed(kept)) == 1


def test_a_backup_that_a_younger_full_one_has_followed_is_not_followed_by_another(
    kept: Database, clock: ManualClock
) -> None:
    made(kept, clock, "younger")
    damage(kept, "one")
    assert renewed(kept) == []


def test_a_younger_one_that_is_damaged_as_well_is_none(kept: Database, clock: ManualClock) -> None:
    made(kept, clock, "younger")
    damage(kept, "younger")
    clock.advance(AT_MOST_EVERY.total_seconds())
    damage(kept, "one")
    assert len(renewed(kept)) == 2


def test_a_store_in_which_everything_is_damaged_gets_one_now_and_then(kept: Database, clock: ManualClock) -> None:
    damage(kept, "one")
    for number in range(12):
        made(kept, clock, f"again-{number}")
        damage(kept, f"again-{number}")
    assert len(renewed(kept)) == 1 + 2


@pytest.mark.parametrize("why", ["paused", "none", "gone"])
def test_nothing_is_made_where_nobody_wants_backups_by_themselves(
    database: Database, clock: ManualClock, why: str
) -> None:
    if why != "none":
        want(database)
    made(database, clock, "full", schedule="" if why == "none" else "s1")
    if why == "paused":
        want(database, 2, enabled=False)
    if why == "gone":
        beginning.deleted(database, ClusterDeleted(cluster_id="c1", operation_id="x"))
    damage(database, "full")
    assert renewed(database) == []
    assert [row.state for row in rows(database, tables.backups)] == ["damaged"]


def test_one_that_was_made_by_hand_is_followed_where_there_is_a_schedule(kept: Database, clock: ManualClock) -> None:
    made(kept, clock, "by-hand", schedule="")
    damage(kept, "by-hand")
    assert [one.schedule_id for one in renewed(kept)] == ["s1"]


def test_the_next_night_s_backup_does_not_build_upon_a_damaged_one(database: Database, clock: ManualClock) -> None:
    want(database)
    first = due(database, clock)
    make(database, clock, first)
    assert nights(database, clock, 1, first.backup_id) == ["incr"]
    damage(database, first.backup_id)
    assert nights(database, clock, 1) == ["full"]


def test_a_damaged_backup_takes_no_good_one_s_place_and_is_not_the_last_good_one(
    database: Database, clock: ManualClock
) -> None:
    want(database, retention=Retention(count=2), kind="full")
    for name in ("b1", "b2"):
        complete(database, clock, name)
    damage(database, "b2")
    complete(database, clock, "b3")
    assert expired(database) == [], "two good ones are kept"
    complete(database, clock, "b4")
    assert expired(database) == ["b2", "b1"]


def test_one_that_is_whole_after_all_counts_again(kept: Database, clock: ManualClock) -> None:
    damage(kept, "full")
    clock.advance(timedelta(days=1).total_seconds())
    made(kept, clock, "full")
    assert [(row.id, row.state) for row in rows(kept, tables.backups)] == [("full", "completed"), ("one", "completed")]
