"""`dtrove schedule`: when clusters are backed up."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from client.exits import Exit
from services.api.actions.access import DEFAULT_PROJECT
from shared.contracts.base import new_id
from shared.contracts.scheduler import ScheduleSet
from shared.contracts.schedules import Outcome, Retention, ScheduleRun, Terms
from tests.unit.client.conftest import Done
from tests.unit.client.world import World

Dtrove = Callable[..., Done]


@pytest.fixture
def cluster(world: World, dtrove: Dtrove) -> str:
    made = dtrove("cluster", "create", "shop", "--datastore", "mysql", "--json")
    assert made.code == 0, made.err
    return str(made.json["id"])


def create(dtrove: Dtrove, *more: str) -> Done:
    made = dtrove("schedule", "create", "shop", "--cron", "30 3 * * *", *more)
    assert made.code == 0, made.err
    return made


def test_a_schedule_is_made_changed_paused_resumed_and_deleted(
    cluster: str, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create(dtrove, "--timezone", "Europe/Berlin", "--keep-count", "3", "--json").json
    assert (made["cluster"], made["retention"]) == (cluster, {"count": 3, "days": None})
    changed = dtrove("schedule", "update", "shop", "--keep-days", "9", "--store", "cellar", "--json").json
    assert changed == made | {"retention": {"count": 3, "days": 9}, "store": "cellar"}
    assert dtrove("schedule", "update", "shop", made["id"][:8], "--keep-count", "0", "--store", "", "--json").json == (
        made | {"retention": {"count": None, "days": 9}, "store": None}
    )
    for days, shown in (("7", 7), ("0", None)):
        changed = dtrove("schedule", "update", "shop", "--verify-days", days, "--json").json
        assert changed["verify_days"] == shown
    assert not dtrove("schedule", "pause", "shop", "--json").json["enabled"]
    assert "paused" in dtrove("schedule", "list", "shop").out
    assert dtrove("schedule", "resume", "shop", "--json").json["next_times"] == made["next_times"]
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    refused = dtrove("schedule", "delete", "shop")
    assert (refused.code, "30 3 * * *" in refused.err) == (1, True)
    assert dtrove("schedule", "delete", "shop", "--yes", "--json").json == {"id": made["id"], "deleted": True}
    assert "nothing of this cluster" in dtrove("schedule", "list", "shop").err


def test_the_next_times_are_shown_by_the_schedules_own_clocks_and_in_words(
    world: World, cluster: str, dtrove: Dtrove
) -> None:
    due = datetime.now(UTC) + timedelta(hours=5, minutes=30)
    run = ScheduleRun(due_at=due - timedelta(days=1), backup_id=new_id(), operation_id=new_id(), outcome=Outcome.FAILED,
                      message="no room")  # fmt: skip
    terms = Terms(cron="30 3 * * *", timezone="Asia/Kathmandu", retention=Retention(count=3, days=7))
    world.hear(
        ScheduleSet(schedule_id=new_id(), cluster_id=cluster, project_id=DEFAULT_PROJECT, terms=terms, version=0, sequence=1,
                    next_at=due, last=run)
    )  # fmt: skip
    there = due + timedelta(hours=5, minutes=45)
    table = dtrove("schedule", "list", "shop").out
    assert f"{there:%a %Y-%m-%d %H:%M} +0545, in 5h" in table
    assert "failed no room" in table
    assert "the last 3, and those of 7 days" in table
    shown = dtrove("schedule", "show", "shop").out
    assert shown.count("+0545 (in ") == 5
    assert len(dtrove("schedule", "list", "shop", "--json").json[0]["next_times"]) == 5


def test_an_incremental_schedule_says_how_often_a_full_one_is_made(cluster: str, dtrove: Dtrove) -> None:
    made = create(dtrove, "--kind", "incremental", "--full-days", "14", "--json").json
    assert (made["kind"], made["full_days"]) == ("incremental", 14)
    assert "incremental, a full one every 14 days" in dtrove("schedule", "show", "shop").out
    assert dtrove("schedule", "update", "shop", "--full-days", "7", "--json").json == made | {"full_days": 7}
    dtrove("schedule", "update", "shop", "--kind", "full")
    assert "a full one every" not in dtrove("schedule", "show", "shop").out


def test_of_several_schedules_one_has_to_be_named(cluster: str, dtrove: Dtrove) -> None:
    none = dtrove("schedule", "show", "shop")
    assert (none.code, "no schedules" in none.err) == (Exit.NOT_FOUND, True)
    first = create(dtrove, "--json").json
    create(dtrove, "--kind", "incremental")
    several = dtrove("schedule", "pause", "shop")
    assert (several.code, first["id"] in several.err) == (Exit.NOT_FOUND, True)
    assert dtrove("schedule", "show", "shop", first["id"], "--json").json == first
    assert dtrove("schedule", "show", "shop", "nosuch").code == Exit.NOT_FOUND


def test_what_is_wrong_is_said_of_each_field(cluster: str, dtrove: Dtrove) -> None:
    refused = dtrove("schedule", "create", "shop", "--cron", "daily", "--timezone", "Mars/Base")
    assert refused.code == Exit.REFUSED
    assert "cron: must be five fields" in refused.err
    assert "timezone: 'Mars/Base' is no IANA time zone" in refused.err
    create(dtrove)
    assert "say what to change" in dtrove("schedule", "update", "shop").err
