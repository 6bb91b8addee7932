"""What is due is announced once, and the schedule moves on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from services.scheduler import actions
from services.scheduler.store.tables import metadata
from shared.clock import ManualClock
from shared.db import Database
from shared.errors import Invalid


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
    ("cron", "zone", "field"), [("every day", "UTC", "cron"), ("0 0 * * *", "Mars/Base", "timezone")]
)
def test_a_bad_schedule_is_refused_by_field(database: Database, cron: str, zone: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        actions.add(database, "c1", "p1", cron, zone, "full")
    assert caught.value.errors[0].field == field
