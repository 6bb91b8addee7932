"""Who may look at what in the console, and whose forms count."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.api.app import make_site
from services.api.domain.limits import Limits
from services.api.web.app import ROUTES
from shared.clock import ManualClock
from tests.component.console.scene import NASTY, Scene, made, settle
from tests.support.api import Api
from tests.support.browser import Browser

Open = Callable[..., Browser]


@pytest.fixture
def scene(api: Api) -> Scene:
    return made(api)


def changes(api: Api) -> list[int]:
    return [len(api.rows(table)) for table in ("clusters", "operations", "backups", "outbox", "audit")]


def test_every_route_of_the_console_is_looked_at_or_sent_to_in_these_tests(api: Api, scene: Scene) -> None:
    live = [f"/operations/{scene.operation}/live", f"/instances/{scene.replica}/logs/live", "/events/live"]
    elsewhere = ["/sign-in", "/sign-out", f"/instances/{scene.replica}/logs/last", f"/exports/{scene.export}/content"]
    forms = [path for path, _ in (*scene.forms, *scene.office_forms)]
    tried = {path.partition("?")[0] for path in (*scene.pages, *scene.offices, *forms, *live, *elsewhere)}
    filled = {"cluster_id": scene.cluster, "operation_id": scene.running, "backup_id": scene.backup, "change": "stop",
              "schedule_id": scene.schedule, "instance_id": scene.replica, "project_id": scene.project, "token_id": scene.token,
              "export_id": scene.export, "import_id": scene.taken}  # fmt: skip
    for path, _, _ in ROUTES:
        others = {
            path.format(**{**filled, "operation_id": one}) for one in (scene.failed, scene.operation, scene.running)
        }
        assert others & tried, path


@pytest.mark.parametrize("role", ["member", "admin"])
def test_whoever_may_change_things_sees_every_page(api: Api, scene: Scene, open_browser: Open, role: str) -> None:
    browser = open_browser(getattr(api, role))
    for path in [*scene.pages, *(scene.offices if role == "admin" else ())]:
        page = browser.get(path)
        assert page.status_code == 200, (path, page.text)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"


def test_a_reader_sees_what_there_is_and_no_button_that_changes_it(api: Api, scene: Scene, open_browser: Open) -> None:
    browser = open_browser(api.reader)
    for path in scene.read:
        page = browser.get(path)
        assert page.status_code == 200, (path, page.text)
    for path in (
        "/",
        "/clusters",
        f"/clusters/{scene.cluster}",
        f"/operations/{scene.failed}",
        f"/backups/{scene.backup}",
        f"/exports/{scene.export}",
        f"/imports/{scene.taken}",
        "/backups",
        "/exports",
        "/imports",
        *(
            f"/clusters/{scene.cluster}/{page}"
            for page in ("health", "parameters", "parameters/history", "accounts", "schedules")
        ),
    ):
        text = browser.get(path).text
        # To sign out changes nothing but one's own session.
        assert text.count('method="post"') == 1, path
        assert "/delete" not in text
        assert "/clusters/new" not in text
        assert "/change/" not in text, path
        assert "/schedules/" not in text, path
    page = browser.get(f"/clusters/{scene.cluster}/delete")
    assert page.status_code == 403
    assert "member" in page.text


@pytest.mark.parametrize("role", ["reader", "member"])
def test_what_administrators_do_is_refused_by_the_api_to_everybody_else(
    api: Api, scene: Scene, open_browser: Open, role: str
) -> None:
    browser = open_browser(getattr(api, role))
    assert 'href="/admin"' not in browser.get("/").text
    for path in scene.offices:
        page = browser.get(path)
        # Of another project there is nothing, not even a refusal.
        assert page.status_code == (404 if "/projects/" in path else 403), (path, page.text)
    before = [len(api.rows(table)) for table in ("tokens", "projects", "quotas")]
    for path, fields in scene.office_forms:
        assert browser.post(path, fields).status_code in (403, 404), path
    assert [len(api.rows(table)) for table in ("tokens", "projects", "quotas")] == before
    assert browser.get("/admin/projects").text.count('method="post"') == 1


def test_a_readers_forms_are_refused_by_the_api(api: Api, scene: Scene, open_browser: Open) -> None:
    browser = open_browser(api.reader)
    before = changes(api)[:4]
    for path, fields in scene.forms:
        answer = browser.post(path, fields)
        assert answer.status_code == 403, (path, answer.text)
        assert "member" in answer.text
    assert changes(api)[:4] == before
    assert not api.databases.asked


def test_another_projects_things_are_not_there(api: Api, scene: Scene, open_browser: Open) -> None:
    browser = open_browser(api.token("admin", api.project()))
    for path in scene.owned:
        if path.startswith(("/operations?", "/backups?", "/exports?", "/imports?")):
            assert not re.search(r'href="/(backups|exports|imports)/', browser.get(path).text)
            continue
        page = browser.get(path)
        assert page.status_code == 404, (path, page.text)
        assert "shop" not in page.text
    before = changes(api)[:4]
    for path, fields in scene.forms[2:]:
        assert browser.post(path, fields).status_code == 404, path
    assert changes(api)[:4] == before
    assert "shop" not in browser.get("/").text


def test_without_a_session_every_page_leads_to_the_one_that_signs_in_and_back(
    api: Api, scene: Scene, open_browser: Open
) -> None:
    browser = open_browser()
    for path in [*scene.pages, *scene.offices, f"/operations/{scene.operation}/live", "/events/live", "/nowhere"]:
        page = browser.get(path)
        assert page.status_code == 303, path
        assert page.headers["Location"].startswith("/sign-in")
    browser.get(f"/operations?cluster={scene.cluster}")
    signing = browser.get(browser.page.headers["Location"])
    assert f'value="/operations?cluster={scene.cluster}"' in signing.text
    answer = browser.post("/sign-in", {"token": api.reader, "next": f"/operations?cluster={scene.cluster}"})
    assert answer.headers["Location"] == f"/operations?cluster={scene.cluster}"
    before = changes(api)
    for path, fields in scene.forms:
        assert open_browser().post(path, fields).headers["Location"] == "/sign-in"
    assert changes(api) == before


def test_a_session_that_is_over_leads_to_the_page_that_signs_in_also_from_within_a_page(
    api: Api, scene: Scene, open_browser: Open
) -> None:
    clock = api.database.clock = ManualClock(datetime.now(UTC))
    browser = open_browser(api.member)
    clock.advance(timedelta(hours=9).total_seconds())
    for path in scene.pages:
        page = browser.get(path)
        assert (page.status_code, page.headers["Location"][:8]) == (303, "/sign-in"), path
        browser.client.set_cookie("dtrove_session", "dts_over")
    within = {"HX-Request": "true", "HX-Current-URL": "http://localhost/clusters?status=active"}
    part = browser.get("/clusters?part=live", **within)
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/sign-in?next=/clusters%3Fstatus%3Dactive")
    assert "1970" in part.headers["Set-Cookie"]


@pytest.mark.parametrize("case", ["wrong", "missing", "of another session", "from another site"])
def test_a_form_that_no_page_of_this_session_has_made_does_nothing(
    api: Api, scene: Scene, open_browser: Open, case: str
) -> None:
    browser, other = open_browser(api.member), open_browser(api.member)
    headers: dict[str, Any] = {"Sec-Fetch-Site": "cross-site"} if case == "from another site" else {}
    browser.csrf = {"wrong": "x", "missing": "", "of another session": other.csrf}.get(case, browser.csrf)
    before = changes(api)
    for path, fields in [*scene.forms, *scene.office_forms, ("/sign-out", {})]:
        answer = browser.post(path, fields, **headers)
        assert answer.status_code == 403, path
        assert "nothing was done" in answer.text
    assert changes(api) == before
    assert browser.get("/").status_code == 200


def test_every_form_of_a_member_does_what_it_says(api: Api, scene: Scene, open_browser: Open) -> None:
    browser = open_browser(api.member)
    protected = f"/clusters/{scene.cluster}/protection"
    for path, fields in scene.forms:
        if path.endswith("/delete"):
            # What is being proved or protected is not deleted: this is looked at elsewhere.
            browser.post(protected, {"protect": "off"})
        if not path.endswith("/verify"):
            answer = browser.post(path, fields)
            assert answer.status_code in (200, 303), (path, answer.text)
            settle(api, scene.cluster, scene.asleep)


def test_words_of_others_are_shown_and_never_run(api: Api, scene: Scene, open_browser: Open) -> None:
    browser = open_browser(api.admin)
    shown = 0
    for path in [*scene.pages, *scene.offices]:
        text = browser.get(path).text
        assert NASTY not in text, path
        assert "alert(" not in text.replace("&lt;script&gt;alert(", ""), path
        shown += "&lt;script&gt;" in text
    assert shown >= 4
    wrong = browser.get(f"/nowhere/{NASTY}")
    assert wrong.status_code == 404
    assert NASTY not in wrong.text
    kept = browser.post("/clusters/new", {"name": f'"{NASTY}', "datastore": "pgsql 15", "size": NASTY, "step": "plan"})
    assert kept.status_code == 422
    assert NASTY not in kept.text


def test_the_api_answers_at_its_own_paths_as_without_the_console(api: Api, open_browser: Open) -> None:
    client = open_browser().client
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/v1/clusters").status_code == 401
    assert client.get("/v1/clusters", headers={"Accept": "text/html"}).status_code == 401
    page = client.get("/v1/clusters", headers={"Authorization": f"Bearer {api.member}"})
    assert (page.status_code, page.json) == (200, {"clusters": [], "next": None})
    assert client.get("/nowhere").headers["Content-Type"] == "application/problem+json"
    assert (
        client.get("/v1/nowhere", headers={"Accept": "text/html"}).headers["Content-Type"] == "application/problem+json"
    )
    assert client.get("/docs").status_code == 200


def test_what_is_done_in_the_console_is_audited_as_what_it_is(api: Api, scene: Scene, open_browser: Open) -> None:
    browser = open_browser(api.member)
    browser.post(f"/clusters/{scene.cluster}/protection", {"protect": "on"}, **{"X-Request-ID": "mine-7"})
    line = api.get("/v1/audit?limit=1", token=api.admin)["audit"][0]
    assert (line["action"], line["subject"], line["user"]) == (
        "PATCH /v1/clusters/{cluster_id}",
        scene.cluster,
        "member",
    )
    assert line["request"] == "mine-7"


def test_limits_of_a_token_hold_for_its_sessions(api: Api, scene: Scene, open_browser: Open) -> None:
    browser = Browser(make_site(replace(api.context, limits=Limits(per_token=1.0))))
    browser.sign_in(api.member)
    answers = {browser.get("/operations").status_code for _ in range(6)}
    assert 429 in answers
