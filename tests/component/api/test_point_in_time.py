"""Moments between backups over HTTP: which of them can be restored, and a cluster that is wanted as of one."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.clock import ManualClock
from shared.contracts import backups
from shared.contracts.archives import ArchiveSeen, LogChain
from shared.contracts.base import new_id
from tests.component.api.test_backups import FACTS, begun, gone, shop
from tests.component.api.test_scaling import wished
from tests.support.api import Api

__all__ = ["shop"]
START = ManualClock().now()


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def shown(seconds: float) -> str:
    return f"{at(seconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def backup(api: Api, cluster: str, ended: float) -> str:
    """A backup that ended so long after the beginning."""
    ids = begun(api, cluster)
    facts = replace(FACTS, ended_at=shown(ended))
    api.hear(backups.BackupCompleted(**ids, instance_id=new_id(), store="local", facts=facts))
    return ids["backup_id"]


def kept(api: Api, cluster: str, *chains: tuple[float, tuple[str, ...]], said: float = 9999) -> None:
    """The log goes on until so long after the beginning, from these backups each time."""
    there = tuple(LogChain(until=at(until), backups=ids) for until, ids in chains)
    until = max((at(one[0]) for one in chains), default=None)
    api.hear(ArchiveSeen(cluster_id=cluster, project_id="p", occurred_at=at(said), until=until, chains=there))


def asked(api: Api, restore: dict[str, Any], query: str = "", **wish: Any) -> Any:
    body = {"name": "again", "datastore": "pgsql 15", "volume_gb": 10, "restore": restore, **wish}
    return api.ask("POST", f"/v1/clusters{query}", body)


def refusal(api: Api, restore: dict[str, Any]) -> tuple[str, str]:
    """The field that a wish is refused by, and why."""
    refused = asked(api, restore)
    assert refused.status_code == 422, refused.text
    ((field, reason),) = [(one["field"], one["reason"]) for one in refused.json["errors"]]
    return field, reason


@pytest.fixture
def two(api: Api, shop: str) -> tuple[str, str]:
    """Two backups of the shop with a hole between: the log goes on from the first for 100 s, from the second until now."""
    first, second = backup(api, shop, 10), backup(api, shop, 500)
    kept(api, shop, (110, (first,)), (900, (second,)))
    return first, second


def test_which_moments_can_be_restored_is_shown_with_the_cluster_and_with_its_backups(
    api: Api, shop: str, two: tuple[str, str]
) -> None:
    wanted = {"earliest": shown(10), "latest": shown(900), "windows": [
        {"since": shown(10), "until": shown(110)}, {"since": shown(500), "until": shown(900)},
    ]}  # fmt: skip
    assert api.get(f"/v1/clusters/{shop}")["restorable"] == wanted
    page = api.get(f"/v1/clusters/{shop}/backups")
    assert page["restorable"] == wanted
    assert {one["id"]: one["log_until"] for one in page["backups"]} == {two[0]: shown(110), two[1]: shown(900)}


def test_without_a_log_no_moment_can_be_restored(api: Api, shop: str) -> None:
    one = backup(api, shop, 10)
    assert api.get(f"/v1/clusters/{shop}")["restorable"] is None
    assert api.get(f"/v1/backups/{one}")["log_until"] is None
    kept(api, shop)
    assert api.get(f"/v1/clusters/{shop}/backups")["restorable"] is None


def test_windows_that_meet_are_one(api: Api, shop: str) -> None:
    first, second = backup(api, shop, 10), backup(api, shop, 50)
    kept(api, shop, (60, (first,)), (900, (second,)))
    assert len(api.get(f"/v1/clusters/{shop}")["restorable"]["windows"]) == 1


def test_a_cluster_as_of_a_moment_begins_with_the_youngest_backup_that_leads_there(api: Api, shop: str) -> None:
    first, second = backup(api, shop, 10), backup(api, shop, 500)
    kept(api, shop, (900, (first, second)))
    for number, (seconds, chosen) in enumerate(((499.9, first), (500, second), (900, second))):
        answer = asked(api, {"cluster": "shop", "time": shown(seconds)}, name=f"again-{number}")
        assert answer.status_code == 202, answer.text
        assert (answer.json["restored_from"], answer.json["restored_to"]) == (chosen, shown(seconds))
        wish = json.loads(wished(api, "cluster.requested")[-1].body)["restore"]
        assert (wish["backup_id"], datetime.fromisoformat(wish["time"])) == (chosen, at(seconds))
    listed = {one["name"]: one["restored_to"] for one in api.get("/v1/clusters")["clusters"]}
    assert (listed["again-2"], listed["shop"]) == (shown(900), None)


def test_a_moment_may_be_in_any_time_zone(api: Api, shop: str, two: tuple[str, str]) -> None:
    answer = asked(api, {"backup": two[1], "time": "2026-01-01T02:10:00+02:00"})
    assert (answer.status_code, answer.json["restored_to"]) == (202, shown(600))


def test_a_plan_says_from_which_backup_and_over_how_much_log(api: Api, shop: str) -> None:
    first = backup(api, shop, 10)
    kept(api, shop, (90_000, (first,)))
    move = asked(api, {"cluster": shop, "time": shown(10 + 3 * 3600 + 720)}, "?plan=true").json["plan"]["moves"][-1]
    assert move == (
        f"the data of cluster shop, as of 2026-01-01 03:12:10.000000 UTC: to again-1, from backup {first} of "
        "2026-01-01 00:00:10 UTC and its log of the 3 h 12 min after it"
    )


@pytest.mark.parametrize(("seconds", "words"), [
    (9, f"is before the earliest moment that can be restored, {shown(10)}"),
    (901, f"is after the latest moment that can be restored, {shown(900)}"),
    (300, f"lies in a hole of the log, which is from {shown(110)} to {shown(500)}"),
])  # fmt: skip
def test_a_moment_that_cannot_be_restored_is_refused_with_those_that_can(
    api: Api, two: tuple[str, str], seconds: float, words: str
) -> None:
    assert refusal(api, {"cluster": "shop", "time": shown(seconds)}) == ("restore.time", words)


@pytest.mark.parametrize(("seconds", "words"), [
    (9, f"is before the end of the backup, {shown(10)}"),
    (111, f"is after the end of the log that goes on from this backup, {shown(110)}"),
])  # fmt: skip
def test_a_backup_leads_as_far_as_the_log_goes_on_from_it(
    api: Api, two: tuple[str, str], seconds: float, words: str
) -> None:
    assert refusal(api, {"backup": two[0], "time": shown(seconds)}) == ("restore.time", words)


def test_where_no_log_is_kept_a_moment_is_refused_by_its_own_sentence(api: Api, shop: str) -> None:
    one = backup(api, shop, 10)
    assert refusal(api, {"backup": one, "time": shown(20)}) == (
        "restore.time", "no log is kept that goes on from this backup: leave the time out",
    )  # fmt: skip
    field, words = refusal(api, {"cluster": shop, "time": shown(20)})
    assert (field, "no log is kept of this cluster" in words) == ("restore.time", True)


@pytest.mark.parametrize(("restore", "field"), [
    ({}, "restore.backup"), ({"time": shown(20)}, "restore.backup"), ({"cluster": "shop"}, "restore.time"),
    ({"cluster": "shop", "backup": "6f811716-0744-413b-ad49-f0107806eb37", "time": shown(20)}, "restore.cluster"),
    ({"cluster": "nobody", "time": shown(20)}, "restore.cluster"), ({"cluster": "shop", "time": "noon"}, "restore.time"),
    ({"cluster": "shop", "time": "2026-01-01T00:00:20"}, "restore.time"),
    ({"cluster": "shop", "time": "0001-01-01T00:00:00+14:00"}, "restore.time"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_by_the_field(api: Api, shop: str, restore: dict[str, Any], field: str) -> None:
    assert refusal(api, restore)[0] == field


def test_a_cluster_that_is_gone_is_found_by_its_name_or_id_as_long_as_it_has_backups(api: Api, shop: str) -> None:
    first = backup(api, shop, 10)
    kept(api, shop, (900, (first,)))
    gone(api, shop)
    for number, wanted in enumerate((shop, "shop")):
        answer = asked(api, {"cluster": wanted, "time": shown(20)}, name=f"again-{number}")
        assert (answer.status_code, answer.json["restored_from"]) == (202, first)


def test_another_project_s_cluster_is_none(api: Api, shop: str, two: tuple[str, str]) -> None:
    body = {"name": "stolen", "datastore": "pgsql 15", "restore": {"cluster": shop, "time": shown(600)}}
    stranger = api.ask("POST", "/v1/clusters", body, token=api.token("admin", api.project()))
    assert (stranger.status_code, "there is no cluster" in stranger.text) == (422, True)
