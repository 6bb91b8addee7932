"""Changes of a cluster in the console: what is asked, the plan, the name where something is lost, and then one operation."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from services.api.web.changes import KINDS
from tests.component.api.test_scaling import wished
from tests.component.console.scene import CHANGES, ODD, PLANNED, Scene, made, settle
from tests.component.console.test_creating import hidden
from tests.support.api import Api
from tests.support.browser import Browser, found

OPERATIONS = {
    "start": "start_cluster", "stop": "stop_cluster", "restart": "restart_cluster", "switchover": "switchover", "failover": "failover",
    "add-nodes": "add_nodes", "remove-node": "remove_node", "look": "look_at_accounts", "create-database": "create_database",
    "delete-database": "delete_database", "create-user": "create_user", "delete-user": "delete_user",
    "change-password": "change_password", "grant": "grant", "revoke": "revoke", "enable-root": "enable_root",
    "disable-root": "disable_root", "rollback": "change_parameters",
}  # fmt: skip
NAMED = {"stop": "shop", "failover": "shop", "delete-database": "goods", "delete-user": "ann"}


@pytest.fixture
def scene(api: Api) -> Scene:
    return made(api)


def operations(api: Api, scene: Scene) -> dict[str, str]:
    """Kinds by id."""
    return {row.id: row.kind for row in api.rows("operations") if row.cluster_id in (scene.cluster, scene.asleep)}


def test_every_change_is_tried_here(scene: Scene) -> None:
    assert (
        {*CHANGES, "remove-node", "apply-group", "import"} == {*PLANNED, "start", "remove-node", "import"} == set(KINDS)
    )


@pytest.mark.parametrize("name", sorted(PLANNED.keys() - {"apply-group"}))
def test_the_plan_comes_before_anything_is_done(api: Api, scene: Scene, member: Browser, name: str) -> None:
    before, notes = operations(api, scene), len(api.rows("audit"))
    page = member.get(f"{scene.change(name)}?{PLANNED[name]}")
    assert page.status_code == 200, page.text
    assert "<summary>On " in page.text
    assert operations(api, scene) == before
    assert len(api.rows("audit")) == notes


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_the_button_below_the_plan_does_it_once_however_often_it_is_pressed(
    api: Api, scene: Scene, member: Browser, name: str
) -> None:
    fields = CHANGES.get(name, {"instance": scene.replica, "typed": "shop-2"})
    shown = {key: value for key, value in fields.items() if key != "typed"}
    page = member.get(f"{scene.change(name)}?{urlencode({**shown, 'step': 'plan'})}")
    given = hidden(page.text) | {key: value for key, value in fields.items() if key == "typed"}
    known = operations(api, scene)
    answers = [member.post(scene.change(name), given) for _ in range(2)]
    assert [one.status_code for one in answers] in ([303, 303], [200, 200])
    ((begun, kind),) = operations(api, scene).items() - known.items()
    assert kind == OPERATIONS[name]
    place = f"/operations/{begun}"
    assert all(place in (one.headers.get("Location") or one.text) for one in answers)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_where_something_is_lost_or_nobody_is_served_the_name_is_asked(
    api: Api, scene: Scene, member: Browser, name: str
) -> None:
    assert f"Type the name, {NAMED[name]}" in member.get(f"{scene.change(name)}?{PLANNED[name]}").text
    before = operations(api, scene)
    for typed in ("", "Shop", "goods2"):
        answer = member.post(scene.change(name), {**CHANGES[name], "typed": typed})
        assert (answer.status_code, "nothing was done" in answer.text) == (422, True)
        assert "<summary>On " in answer.text
    assert operations(api, scene) == before


def test_a_node_that_goes_is_named_and_what_is_lost_with_it_is_told(api: Api, scene: Scene, member: Browser) -> None:
    path = scene.change("remove-node")
    assert f'<option value="{scene.replica}">shop-2</option>' in member.get(path).text
    page = member.get(f"{path}?step=plan&instance={scene.replica}")
    for words in ("Lost for good", "server shop-2", "Type the name, shop-2"):
        assert words in page.text
    assert member.post(path, {"instance": scene.replica, "typed": "shop"}).status_code == 422
    primary = api.get(f"/v1/clusters/{scene.cluster}")["instances"][0]["id"]
    refused = member.get(f"{path}?step=plan&instance={primary}")
    assert (refused.status_code, "is the primary" in refused.text) == (409, True)
    assert member.get(f"{path}?step=plan&instance=").status_code == 404


@pytest.mark.parametrize(
    ("name", "chosen", "field"),
    [
        ("add-nodes", {"count": "two"}, "count"),
        ("add-nodes", {"count": "99"}, "count"),
        ("resize", {"flavor": "giant"}, "flavor"),
        ("resize", {"volume_gb": "-1"}, "volume_gb"),
        ("create-database", {"name": "a/b"}, "name"),
        ("create-user", {"name": ""}, "name"),
        ("grant", {"user": "ann", "database": "nothing", "privilege": "read"}, "database"),
    ],
)
def test_a_wrong_field_is_told_beside_it_in_the_apis_words_and_the_rest_is_kept(
    scene: Scene, member: Browser, name: str, chosen: dict[str, str], field: str
) -> None:
    path = scene.change(name)
    for page in (
        member.get(f"{path}?{urlencode({**chosen, 'step': 'plan'})}"),
        member.post(path, {**chosen, "key": "k"}),
    ):
        assert page.status_code == 422, page.text
        assert f'id="{field}-wrong"' in page.text
        assert re.search(rf'<(input|select)[^>]*id="{field}"[^>]*aria-invalid="true"', page.text)
        assert "Error: " in page.text


def test_what_cannot_be_done_now_is_told_where_it_was_asked(api: Api, scene: Scene, member: Browser) -> None:
    refused = member.get(f"/clusters/{scene.cluster}/change/start")
    assert (refused.status_code, "only a cluster that is stopped can be started" in refused.text) == (409, True)
    assert member.post(scene.change("restart"), {"instance": ""}).status_code == 303
    busy = member.post(scene.change("stop"), {"typed": "shop"})
    assert (busy.status_code, "Try again" in busy.text) == (409, True)
    api.databases.away = True
    assert member.get(scene.change("stop")).status_code == 503


def test_there_are_no_other_changes(scene: Scene, member: Browser) -> None:
    for path in (f"/clusters/{scene.cluster}/change/nothing", f"/clusters/{scene.running}/change/stop"):
        assert member.get(path).status_code == 404
        assert member.post(path, {"typed": "shop"}).status_code == 404
    strange = f"/clusters/{scene.cluster}/change/delete-user?user=nobody"
    assert member.get(strange).status_code == 404
    assert member.post(scene.change("delete-user"), {"user": "ann/grants", "typed": "ann/grants"}).status_code == 404


def test_a_new_password_is_shown_once_and_is_never_asked_for(api: Api, scene: Scene, member: Browser) -> None:
    for name in ("create-user", "change-password", "enable-root"):
        form = member.get(f"{scene.change(name)}?{PLANNED[name]}").text
        assert 'type="password"' not in form
        done = member.post(scene.change(name), CHANGES[name])
        password = found(r'<code id="login-password">([^<]{16,})</code>', done.text)
        assert done.headers["Cache-Control"] == "no-store"
        operation = found(r'<a href="(/operations/[^"]+)">the operation', done.text)
        settle(api, scene.cluster)
        for page in (
            operation,
            f"{operation}/transcript",
            f"/clusters/{scene.cluster}/accounts",
            f"/clusters/{scene.cluster}",
        ):
            assert password not in member.get(page).text
        assert password not in str([vars(row) if hasattr(row, "__dict__") else tuple(row) for row in api.rows("audit")])


def test_a_name_with_every_kind_of_mark_in_it_is_the_name_that_is_meant(
    api: Api, scene: Scene, member: Browser
) -> None:
    text = member.get(f"/clusters/{scene.cluster}/accounts").text
    assert ODD not in text
    link = found(r'<a id="drop-database-2" href="([^"]+)"', text)
    assert "Type the name, x&#34;&gt;&lt;b&gt;{0}&amp;amp;" in member.get(link).text
    assert member.post(link.partition("?")[0], {"database": ODD, "typed": ODD}).status_code == 303
    assert '"x\\"><b>{0}&amp;"' in wished(api, "accounts.requested")[-1].body
    assert "by hand alone" in text


def test_a_user_of_redis_has_keys_in_place_of_databases(api: Api, scene: Scene, member: Browser) -> None:
    assert member.post(scene.change("start")).status_code == 303
    settle(api, scene.asleep)
    path = f"/clusters/{scene.asleep}/change/create-user"
    form = member.get(path).text
    assert ('id="patterns"' in form, 'id="database"' in form, 'id="host"' in form) == (True, False, False)


def test_a_cluster_shows_what_can_be_done_with_it_as_it_is(scene: Scene, member: Browser) -> None:
    text = member.get(f"/clusters/{scene.cluster}").text
    for name in ("restart", "stop", "switchover", "failover", "add-nodes", "remove-node", "resize"):
        assert f'id="do-{name}"' in text
    assert 'id="do-start"' not in text
    asleep = member.get(f"/clusters/{scene.asleep}").text
    assert ('id="do-start"' in asleep, 'id="do-stop"' in asleep) == (True, False)


def test_health_is_told_with_witnesses_facts_ages_and_how_it_has_changed(scene: Scene, member: Browser) -> None:
    text = member.get(f"/clusters/{scene.cluster}/health").text
    for words in ("LAGGING", "Witness: ssh", "answers", "lag seconds", "42.0", "just now", "How that has changed"):
        assert words in text
    assert "Nobody has looked at it yet" in member.get(f"/clusters/{scene.asleep}/health").text
