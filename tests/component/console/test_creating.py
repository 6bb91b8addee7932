"""A new cluster, in the console: the plan first, then the button, then one cluster."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.component.api.test_backups import completed
from tests.component.api.test_clusters import active
from tests.support.api import Api
from tests.support.browser import Browser, found

WISH = {"name": "shop", "datastore": "pgsql 15", "size": "1", "flavor": "", "volume_gb": "", "topology.mode": "",
        "topology.failover": "automatic"}  # fmt: skip


def hidden(text: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', text))


def test_the_form_has_fewer_than_ten_fields_each_with_a_word_on_what_it_costs(member: Browser) -> None:
    text = member.get("/clusters/new").text
    fields = re.findall(r'<(?:input|select)[^>]* id="([^"]+)"[^>]*aria-describedby="([^"]+)"', text)
    assert 5 < len(fields) < 10
    for name, hint in fields:
        assert f'id="{hint}"' in text, name
    assert "pgsql - 15" in text
    assert "medium: 2 CPU, 2048 MB" in text


def test_the_plan_is_shown_before_anything_is_made(api: Api, member: Browser) -> None:
    member.get("/clusters/new")
    page = member.post("/clusters/new", {**WISH, "step": "plan"})
    assert page.status_code == 200
    for words in ("On shop-1", "apt-get install", "an address of the cluster&#39;s own", "Create shop"):
        assert words in page.text
    assert api.rows("clusters") == []
    assert not any(one.action.startswith("POST /v1/clusters") for one in api.rows("audit"))


def test_the_button_below_the_plan_makes_one_cluster_however_often_it_is_pressed(api: Api, member: Browser) -> None:
    member.get("/clusters/new")
    given = hidden(member.post("/clusters/new", {**WISH, "deletion_protection": "on", "step": "plan"}).text)
    places = {member.post("/clusters/new", {**given, "step": "create"}).headers["Location"] for _ in range(3)}
    (made,) = api.get("/v1/clusters")["clusters"]
    assert places == {f"/clusters/{made['id']}"}
    assert (made["name"], made["size"], made["flavor"]["name"], made["deletion_protection"]) == (
        "shop",
        1,
        "medium",
        True,
    )


def test_several_nodes_are_made_as_they_were_wished_for(api: Api, member: Browser) -> None:
    member.get("/clusters/new")
    wish = {
        **WISH,
        "size": "3",
        "volume_gb": "20",
        "flavor": "small",
        "topology.mode": "sync",
        "topology.failover": "manual",
    }
    given = hidden(member.post("/clusters/new", {**wish, "step": "plan"}).text)
    assert member.post("/clusters/new", {**given, "step": "create"}).status_code == 303
    (made,) = api.get("/v1/clusters")["clusters"]
    assert (made["size"], made["volume_gb"], made["flavor"]["name"]) == (3, 20, "small")
    assert made["topology"] == {"mode": "sync", "failover": "manual"}


@pytest.mark.parametrize("step", ["plan", "create"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Shop!"),
        ("name", ""),
        ("datastore", "oracle 7"),
        ("size", "99"),
        ("size", "two"),
        ("flavor", "giant"),
        ("volume_gb", "-1"),
    ],
)
def test_a_wrong_field_is_told_beside_it_in_the_apis_words_and_the_rest_is_kept(
    api: Api, member: Browser, field: str, value: str, step: str
) -> None:
    member.get("/clusters/new")
    page = member.post("/clusters/new", {**WISH, "topology.failover": "manual", field: value, "step": step})
    assert page.status_code == 422
    assert f'id="{field}-wrong"' in page.text
    assert re.search(rf'<(input|select)[^>]*id="{re.escape(field)}"[^>]*aria-invalid="true"', page.text)
    assert f'href="#{field}"' in page.text
    assert re.search(r'<option value="manual" selected', page.text)
    assert "Error: Create a cluster" in page.text
    assert api.rows("clusters") == []


def test_a_name_that_is_taken_is_told_on_the_form(api: Api, member: Browser) -> None:
    api.create("shop")
    member.get("/clusters/new")
    page = member.post("/clusters/new", {**WISH, "step": "create"})
    assert page.status_code == 409
    assert "shop" in page.text
    assert 'value="shop"' in page.text


def test_one_can_go_back_from_the_plan_with_all_that_was_filled_in(member: Browser) -> None:
    member.get("/clusters/new")
    given = hidden(member.post("/clusters/new", {**WISH, "volume_gb": "7", "step": "plan"}).text)
    page = member.post("/clusters/new", {**given, "step": "edit"})
    assert re.search(r'id="volume_gb" name="volume_gb" value="7"', page.text)
    assert 'value="shop"' in page.text


def test_a_service_that_is_away_is_a_page_that_says_to_try_again(api: Api, member: Browser) -> None:
    api.databases.away = True
    member.get("/clusters/new")
    page = member.post("/clusters/new", {**WISH, "step": "plan"})
    assert page.status_code == 503
    assert "did not answer" in page.text


def test_a_backup_is_restored_to_a_new_cluster_that_has_room_for_it(
    api: Api, member: Browser, open_browser: Callable[..., Browser]
) -> None:
    cluster, operation = api.create("old", volume_gb=10)
    active(api, cluster, operation)
    backup = completed(api, cluster)
    page = member.get(f"/clusters/new?backup={backup}")
    assert re.search(r'id="volume_gb" name="volume_gb" value="10"', page.text)
    assert "the backup of old" in page.text
    datastore = found(r'<option value="([^"]+)" selected>pgsql - 15', page.text)
    wish = {**WISH, "name": "new", "datastore": datastore, "restore.backup": backup}
    small = member.post("/clusters/new", {**wish, "volume_gb": "5", "step": "plan"})
    assert (small.status_code, 'id="volume_gb-wrong"' in small.text) == (422, True)
    planned = member.post("/clusters/new", {**wish, "volume_gb": "10", "step": "plan"})
    assert member.post("/clusters/new", {**hidden(planned.text), "step": "create"}).status_code == 303
    made = api.get("/v1/clusters?name=new")["clusters"][0]
    assert made["restored_from"] == backup
    assert member.get("/clusters/new?backup=nothing").status_code == 404
    stranger = open_browser(api.token("member", api.project()))
    assert stranger.get(f"/clusters/new?backup={backup}").status_code == 404
