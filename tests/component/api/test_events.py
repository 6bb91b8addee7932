"""The feed of a project's events: from its beginning, after one, or the latest of them."""

from __future__ import annotations

import pytest

from tests.support.api import Api


def ids(api: Api, query: str) -> list[int]:
    return [one["id"] for one in api.get(f"/v1/events?{query}")["events"]]


def test_the_latest_events_come_in_their_order_and_nothing_follows_them(api: Api) -> None:
    assert api.get("/v1/events?latest=5") == {"events": [], "next": None}
    for number in range(6):
        api.create(f"shop-{number}")
    everything = ids(api, "limit=100")
    assert ids(api, "latest=3") == ids(api, f"latest=3&since={everything[0]}") == everything[-3:]
    assert ids(api, "latest=100") == everything
    assert api.get("/v1/events?latest=3")["next"] is None


def test_other_projects_events_are_not_counted_among_the_latest(api: Api) -> None:
    api.create("mine")
    mine = ids(api, "limit=100")
    theirs = api.token("member", api.project())
    for number in range(4):
        wish = {"name": f"theirs-{number}", "datastore": "pgsql 15"}
        assert api.ask("POST", "/v1/clusters", wish, token=theirs).status_code == 202
    assert ids(api, "latest=100") == mine
    assert ids(api, "latest=1") == mine[-1:]


@pytest.mark.parametrize("latest", ["-1", "101", "all"])
def test_no_more_than_a_page_of_them_can_be_asked_for(api: Api, latest: str) -> None:
    answer = api.ask("GET", f"/v1/events?latest={latest}")
    assert answer.status_code == 422
    assert answer.json["errors"] == [{"field": "latest", "reason": "must be a number from 0 to 100"}]
