"""Schedules of backups over HTTP; what the scheduler says is told by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from services.api.actions import schedules
from services.api.actions.access import DEFAULT_PROJECT
from shared.clock import ManualClock
from shared.contracts import datastore_agentless as databases
from shared.contracts.base import load, new_id
from shared.contracts.scheduler import ScheduleRemoved, ScheduleSet
from shared.contracts.schedules import Outcome, Retention, ScheduleRun, Terms
from tests.support.api import Api, open_database

DAILY = {"cron": "30 3 * * *", "timezone": "Europe/Berlin", "retention": {"count": 3, "days": 7}, "verify_days": 14}


@pytest.fixture
def cluster(api: Api) -> str:
    return api.create()[0]


def path(cluster: str, schedule: str = "") -> str:
    return f"/v1/clusters/{cluster}/schedules" + (f"/{schedule}" if schedule else "")


def create(api: Api, cluster: str, **wanted: Any) -> Any:
    answer = api.ask("POST", path(cluster), {**DAILY, **wanted})
    assert answer.status_code == 201, answer.text
    return answer.json


def change(api: Api, made: dict[str, Any], **changes: Any) -> Any:
    return api.ask("PATCH", path(made["cluster"], made["id"]), changes)


def wishes(api: Api) -> list[tuple[str, dict[str, Any]]]:
    """What the scheduler was asked, by topic."""
    asked = [row for row in api.rows("outbox") if row.routing_key.startswith("schedule.")]
    return [(row.routing_key, json.loads(row.body)) for row in sorted(asked, key=lambda row: row.id)]


def tell(api: Api, wish: dict[str, Any], sequence: int = 1, **more: Any) -> None:
    """The scheduler answers a wish."""
    told = {name: wish[name] for name in ("schedule_id", "cluster_id", "project_id", "version")}
    api.hear(ScheduleSet(**told, terms=load(Terms, wish["terms"]), sequence=sequence, **more))


def test_a_schedule_is_shown_as_it_was_wished_for_and_the_scheduler_is_asked(api: Api, cluster: str) -> None:
    made = create(api, cluster)
    assert {name: made[name] for name in DAILY} == DAILY
    assert (made["kind"], made["store"], made["enabled"], made["last_run"]) == ("full", None, True, None)
    ((topic, wish),) = wishes(api)
    assert (topic, wish["version"], wish["project_id"]) == ("schedule.requested", 1, DEFAULT_PROJECT)
    assert load(Terms, wish["terms"]) == Terms(
        cron="30 3 * * *", timezone="Europe/Berlin", retention=Retention(count=3, days=7), verify_days=14
    )
    assert api.get(path(cluster, made["id"])) == made
    assert api.get(path(cluster))["schedules"] == [made]


def test_the_next_five_times_are_those_at_which_it_begins(api: Api, cluster: str) -> None:
    made = create(api, cluster, cron="0 */6 * * *", timezone="UTC")
    times = [datetime.fromisoformat(one) for one in made["next_times"]]
    assert len(times) == 5
    assert {later - sooner for sooner, later in pairwise(times)} == {timedelta(hours=6)}
    assert all(one.hour % 6 == 0 and one.minute < 5 for one in times)
    # The scheduler may have given a new cluster another first night.
    tell(api, wishes(api)[0][1], next_at=times[2])
    assert api.get(path(cluster, made["id"]))["next_times"][:3] == made["next_times"][2:]


def test_what_nobody_names_is_kept_for_a_week_and_an_empty_choice_for_ever(api: Api, cluster: str) -> None:
    made = api.ask("POST", path(cluster), {"cron": " 0  3 * * * "}).json
    assert (made["retention"], made["timezone"], made["cron"]) == ({"count": None, "days": 7}, "UTC", "0 3 * * *")
    assert create(api, cluster, retention={})["retention"] == {"count": None, "days": None}


def test_a_change_is_shown_at_once_and_only_what_is_named_changes(api: Api, cluster: str) -> None:
    made = create(api, cluster, store="cellar")
    changed = change(api, made, retention={"days": 30}, store=None)
    assert changed.status_code == 200, changed.text
    assert changed.json == made | {"retention": {"count": None, "days": 30}, "store": None}
    assert change(api, made, enabled=False).json["next_times"] == []
    assert change(api, made, enabled=True).json["next_times"] == made["next_times"]
    assert [wish["version"] for _, wish in wishes(api)] == [1, 2, 3, 4]
    # Nothing new is nothing to ask for.
    assert change(api, made).json == changed.json
    assert len(wishes(api)) == 4


def test_an_answer_that_was_overtaken_by_a_newer_wish_does_not_undo_it(api: Api, cluster: str) -> None:
    made = create(api, cluster)
    change(api, made, cron="0 5 * * *")
    (_, first), (_, second) = wishes(api)
    now = datetime.now(UTC)
    run = ScheduleRun(due_at=now, backup_id=new_id(), operation_id=new_id(), outcome=Outcome.FAILED, message="no room")
    tell(api, first, sequence=1, last=run, next_at=now + timedelta(days=3))
    shown = api.get(path(cluster, made["id"]))
    assert shown["cron"] == "0 5 * * *"
    assert (shown["last_run"]["outcome"], shown["last_run"]["message"]) == ("failed", "no room")
    assert datetime.fromisoformat(shown["next_times"][0]) < now + timedelta(days=2)
    # Words that overtake each other: the newest one stands.
    tell(api, second, sequence=3, next_at=now + timedelta(hours=1))
    tell(api, second, sequence=2, last=run, next_at=now + timedelta(hours=9))
    shown = api.get(path(cluster, made["id"]))
    assert datetime.fromisoformat(shown["next_times"][0]) == now + timedelta(hours=1)
    assert shown["last_run"] is None


def test_a_schedule_that_the_scheduler_has_made_is_shown_and_can_be_changed_and_removed(api: Api, cluster: str) -> None:
    terms = Terms(cron="12 2 * * *", retention=Retention(days=7))
    told = {"schedule_id": new_id(), "cluster_id": cluster, "project_id": DEFAULT_PROJECT, "terms": terms}
    api.hear(ScheduleSet(**told, version=0, sequence=1, next_at=datetime.now(UTC) + timedelta(hours=30)))
    (shown,) = api.get(path(cluster))["schedules"]
    assert (shown["id"], shown["cron"], len(shown["next_times"])) == (told["schedule_id"], "12 2 * * *", 5)
    assert wishes(api) == []
    assert change(api, shown, kind="incremental").json["kind"] == "incremental"
    assert wishes(api)[-1][1]["version"] == 1
    assert api.ask("DELETE", path(cluster, shown["id"])).status_code == 204
    assert wishes(api)[-1][0] == "schedule.remove_requested"


def test_a_schedule_that_was_deleted_is_gone_at_once_and_whatever_comes_late_does_not_bring_it_back(
    api: Api, cluster: str
) -> None:
    made = create(api, cluster)
    assert api.ask("DELETE", path(cluster, made["id"])).status_code == 204
    tell(api, wishes(api)[0][1])
    for method in ("GET", "PATCH", "DELETE"):
        body = {} if method == "PATCH" else None
        assert api.ask(method, path(cluster, made["id"]), body).status_code == 404
    wish = wishes(api)[-1][1]
    about = {name: wish[name] for name in ("schedule_id", "cluster_id", "project_id", "version")}
    api.hear(ScheduleRemoved(**about))
    tell(api, wishes(api)[0][1], sequence=5)
    assert api.get(path(cluster))["schedules"] == []


def test_a_deleted_cluster_takes_its_schedules_with_it(api: Api, cluster: str) -> None:
    create(api, cluster)
    wish = wishes(api)[0][1]
    operation = api.ask("DELETE", f"/v1/clusters/{cluster}").headers["location"].rpartition("/")[2]
    refused = api.ask("POST", path(cluster), DAILY)
    assert (refused.status_code, "is being deleted" in refused.json["detail"]) == (409, True)
    api.hear(databases.ClusterDeleted(cluster_id=cluster, operation_id=operation))
    tell(api, wish)
    assert api.rows("schedules") == []
    assert api.ask("GET", path(cluster)).status_code == 404


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"cron"}),
        ({"cron": "daily"}, {"cron"}),
        ({"cron": "0 3 * * *", "timezone": "Mars/Base"}, {"timezone"}),
        ({"cron": "0 0 31 2 *", "timezone": "nowhere"}, {"cron", "timezone"}),
        ({"cron": "*/14 * * * *"}, {"cron"}),
        ({"cron": "0,5 3 * * *"}, {"cron"}),
        ({"cron": "* * * * * *"}, {"cron"}),
        ({"cron": 5}, {"cron"}),
        ({"cron": "0 3 * * *", "kind": "partial"}, {"kind"}),
        ({"cron": "0 3 * * *", "store": "../up"}, {"store"}),
        ({"cron": "0 3 * * *", "enabled": 1}, {"enabled"}),
        ({"cron": "0 3 * * *", "retention": {"count": 0}}, {"retention.count"}),
        ({"cron": "0 3 * * *", "retention": {"days": -1, "weeks": 2}}, {"retention.days", "retention.weeks"}),
        ({"cron": "0 3 * * *", "retention": None}, {"retention"}),
    ],
)
def test_a_bad_schedule_is_refused_by_field(api: Api, cluster: str, body: dict[str, Any], fields: set[str]) -> None:
    made = create(api, cluster)
    for answer in (api.ask("POST", path(cluster), body), change(api, made, **body) if body else None):
        if answer is not None:
            assert answer.status_code == 422, answer.text
            assert {one["field"] for one in answer.json["errors"]} == fields
    assert len(wishes(api)) == 1


def test_a_quarter_of_an_hour_is_far_enough_apart(api: Api, cluster: str) -> None:
    assert create(api, cluster, cron="*/15 * * * *")["cron"] == "*/15 * * * *"


def test_a_cluster_has_ten_schedules_at_most(api: Api, cluster: str) -> None:
    made = [create(api, cluster, cron=f"0 {hour} * * *") for hour in range(10)]
    refused = api.ask("POST", path(cluster), DAILY)
    assert (refused.status_code, "10 schedules" in refused.json["detail"]) == (409, True)
    assert [one["id"] for one in api.get(path(cluster))["schedules"]] == [one["id"] for one in made]
    api.ask("DELETE", path(cluster, made[3]["id"]))
    create(api, cluster)


def test_a_schedule_of_another_cluster_is_not_there(api: Api, cluster: str) -> None:
    made = create(api, cluster)
    other, _ = api.create("other")
    assert api.ask("GET", path(other, made["id"])).status_code == 404
    assert api.ask("DELETE", path(other, made["id"])).status_code == 404


def test_a_wish_that_nobody_answers_is_said_again_less_and_less_often_until_somebody_does(database_url: str) -> None:
    clock = ManualClock(datetime.now(UTC))
    api = Api(open_database(database_url, clock))
    api.know_choices()
    cluster, _ = api.create()
    made = create(api, cluster)
    said = []
    for second in range(5, 3605, 5):
        clock.advance(5)
        if schedules.say_again(api.database):
            said.append(second)
    assert said[0] <= 15
    assert said[-1] - said[-2] >= 295
    assert {json.dumps(wish["terms"]) for _, wish in wishes(api)} == {json.dumps(wishes(api)[0][1]["terms"])}
    tell(api, wishes(api)[0][1])
    api.ask("DELETE", path(cluster, made["id"]))
    clock.advance(3600)
    assert schedules.say_again(api.database) == 1
    topic, wish = wishes(api)[-1]
    assert topic == "schedule.remove_requested"
    api.hear(
        ScheduleRemoved(schedule_id=made["id"], cluster_id=cluster, project_id=DEFAULT_PROJECT, version=wish["version"])
    )
    clock.advance(3600)
    assert schedules.say_again(api.database) == 0
