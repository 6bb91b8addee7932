"""What administrators do in the console: the check, the audit, projects, quotas and tokens."""

from __future__ import annotations

import pytest

from tests.component.console.scene import Scene, made
from tests.support.api import Api
from tests.support.browser import Browser, found


@pytest.fixture
def scene(api: Api) -> Scene:
    return made(api)


def test_the_check_is_a_page_with_what_to_do(api: Api, admin: Browser) -> None:
    api.states.said["scheduler"] = "nobody answered within 3 s"
    text = admin.get("/admin").text
    for words in (
        "RabbitMQ answers",
        "scheduler does not answer",
        "nobody answered within 3 s",
        "see whether the service scheduler runs",
    ):
        assert words in text
    asked = api.states.asked
    assert 'hx-trigger="every' not in text
    admin.get("/admin/projects")
    assert api.states.asked == asked


def test_who_did_what_is_listed_and_found_by_its_request(
    scene: Scene, api: Api, admin: Browser, member: Browser
) -> None:
    member.post(f"/clusters/{scene.cluster}/protection", {"protect": "on"}, **{"X-Request-ID": "mine-8"})
    text = admin.get("/admin/audit?request=mine-8").text
    assert "PATCH /v1/clusters/{cluster_id}" in text
    assert text.count("<tr>") == 2
    assert admin.get("/admin/audit?project=nonsense").status_code == 422


def test_a_project_is_made_once_and_gets_limits(api: Api, admin: Browser) -> None:
    key = found(r'name="key" value="([^"]+)"', admin.get("/admin/projects").text)
    (place,) = {admin.post("/admin/projects", {"name": "team", "key": key}).headers["Location"] for _ in range(2)}
    assert "In use: 0. Empty: no limit." in admin.get(place).text
    assert admin.post(place, {"clusters": "3", "volume_gb": "", "backups": " "}).headers["Location"] == place
    limits = api.get(f"/v1{place.removeprefix('/admin')}/quotas", token=api.admin)["limits"]
    assert (limits["clusters"], limits["volume_gb"], limits["backups"]) == (3, None, None)
    wrong = admin.post(place, {"clusters": "many", "instances": "5"})
    assert (wrong.status_code, 'id="clusters-wrong"' in wrong.text, 'value="many"' in wrong.text) == (422, True, True)
    assert 'name="instances" value="5"' in wrong.text
    taken = admin.post("/admin/projects", {"name": "team"})
    assert (taken.status_code, "team" in taken.text) == (409, True)
    assert 'id="name-wrong"' in admin.post("/admin/projects", {"name": "No Name!"}).text


def test_ones_own_limits_are_shown_to_everybody(api: Api, member: Browser) -> None:
    own = found(r'href="(/admin/projects/[^"]+)"', member.get("/admin/projects").text)
    text = member.get(own).text
    assert ("0 of any number" in text, "Set these limits" in text) == (True, False)


def test_a_token_is_made_once_shown_once_and_revoked(api: Api, scene: Scene, admin: Browser) -> None:
    key = found(r'name="key" value="([^"]+)"', admin.get("/admin/tokens").text)
    wish = {"name": "robot", "project": scene.project, "role": "reader", "expires_at": "2100-01-31", "key": key}
    answers = [admin.post("/admin/tokens", wish) for _ in range(2)]
    secrets = {found(r'<code id="token">([^<]+)</code>', one.text) for one in answers}
    assert len(secrets) == 1
    assert answers[0].headers["Cache-Control"] == "no-store"
    (secret,) = secrets
    assert api.ask("GET", "/v1/clusters", token=secret).status_code == 200
    listed = admin.get("/admin/tokens").text
    assert (secret in listed, "2100-01-31 00:00:00 UTC" in listed, "far" in listed) == (False, True, True)
    made = next(one for one in api.get("/v1/tokens", token=api.admin)["tokens"] if one["name"] == "robot")
    assert "Revoke robot" in admin.get(f"/admin/tokens/{made['id']}/revoke").text
    assert admin.post(f"/admin/tokens/{made['id']}/revoke").status_code == 303
    assert api.ask("GET", "/v1/clusters", token=secret).status_code == 401
    assert "revoked" in admin.get("/admin/tokens").text
    assert admin.get(f"/admin/tokens/{scene.cluster}/revoke").status_code == 404


@pytest.mark.parametrize(("field", "value"), [("name", ""), ("expires_at", "2001-01-01"), ("expires_at", "soon")])
def test_a_wrong_field_of_a_token_is_told_beside_it(
    api: Api, scene: Scene, admin: Browser, field: str, value: str
) -> None:
    known = len(api.rows("tokens"))
    wish = {"name": "robot", "project": scene.project, "role": "reader", field: value}
    page = admin.post("/admin/tokens", wish)
    assert (page.status_code, f'id="{field}-wrong"' in page.text) == (422, True)
    assert len(api.rows("tokens")) == known
