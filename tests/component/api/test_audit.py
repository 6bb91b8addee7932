"""Who did what, from where, in which request, and how it ended."""

from __future__ import annotations

from typing import Any

from services.api.actions import outside
from services.api.domain.limits import Limits
from shared.contracts.base import new_id
from shared.contracts.external import ExternalClusterRequested
from shared.db import Database
from tests.support.api import Api


def lines(api: Api, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/v1/audit{query}", token=api.admin)["audit"]
    return found


def test_a_change_is_written_down_with_who_from_where_in_which_request_and_how_it_ended(api: Api) -> None:
    headers = {"X-Request-ID": "my-own-1"}
    made = api.ask("POST", "/v1/clusters", {"name": "shop", "datastore": "pgsql 15"}, headers=headers)
    (line,) = lines(api)
    shown = {name: line[name] for name in ("user", "address", "request", "action", "subject", "status")}
    assert shown == {
        "user": "member", "address": "127.0.0.1", "request": "my-own-1", "action": "POST /v1/clusters",
        "subject": made.json["id"], "status": 202,
    }  # fmt: skip


def test_a_refusal_is_written_down_and_a_look_is_not(api: Api) -> None:
    api.get("/v1/clusters")
    cluster, _ = api.create()
    api.ask("DELETE", f"/v1/clusters/{cluster}?plan=true")
    api.ask("DELETE", f"/v1/clusters/{cluster}", token=api.reader)
    api.ask("DELETE", f"/v1/clusters/{cluster}", token="unknown")
    assert [(line["action"], line["subject"], line["user"], line["status"]) for line in lines(api)] == [
        ("DELETE /v1/clusters/{cluster_id}", cluster, "reader", 403), ("POST /v1/clusters", cluster, "member", 202),
    ]  # fmt: skip


def test_the_address_is_that_of_who_asks_behind_a_proxy_of_ours(database: Database) -> None:
    api = Api(database, limits=Limits(proxies=("127.0.0.1",)))
    api.know_choices()
    wish = {"name": "shop", "datastore": "pgsql 15"}
    api.ask("POST", "/v1/clusters", wish, headers={"X-Forwarded-For": "198.51.100.7"})
    assert [line["address"] for line in lines(api)] == ["198.51.100.7"]


def test_what_came_over_the_bus_is_written_down_as_well(api: Api) -> None:
    wish = {"name": "shop", "datastore": "pgsql 15"}
    event = ExternalClusterRequested(event_id=new_id(), token=api.member, cluster=wish)
    outside.request_cluster(api.database, event, 5)
    assert [(line["action"], line["address"], line["user"]) for line in lines(api)] == [
        (ExternalClusterRequested.topic, "bus", "member")
    ]


def test_pages_and_filters_show_what_is_asked_for(api: Api) -> None:
    for number in range(5):
        api.ask("POST", "/v1/projects", {"name": f"p{number}"}, token=api.admin, headers={"X-Request-ID": f"r{number}"})
    first = api.get("/v1/audit?limit=2", token=api.admin)
    second = api.get(first["next"], token=api.admin)
    assert [line["request"] for line in first["audit"] + second["audit"]] == ["r4", "r3", "r2", "r1"]
    assert [line["request"] for line in lines(api, "?request=r2")] == ["r2"]
    assert lines(api, f"?project={new_id()}") == []


def test_an_odd_id_in_the_path_is_written_down_as_far_as_it_can_be(api: Api) -> None:
    for odd in ("%00", "a%00b", "%F0%9F%90%98", "x" * 500):
        assert api.ask("DELETE", f"/v1/clusters/{odd}").status_code == 404
    assert [line["subject"] for line in lines(api)] == ["x" * 64, "\U0001f418", "ab", ""]


def test_members_do_not_read_the_audit(api: Api) -> None:
    assert api.ask("GET", "/v1/audit").status_code == 403


def test_a_project_that_asks_too_much_is_told_to_wait_whoever_asks(database: Database) -> None:
    api = Api(database, limits=Limits(per_project=1.0))
    statuses = {api.ask("GET", "/v1/clusters", token=token).status_code for token in [api.member, api.reader] * 4}
    assert statuses == {200, 429}
    assert api.ask("GET", "/v1/clusters", token=api.token("member", api.project())).status_code == 200
