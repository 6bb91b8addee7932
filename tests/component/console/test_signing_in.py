"""Signing in to the console and out again: what opens it, for how long, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from services.api.actions.access import DEFAULT_PROJECT, Caller
from services.api.app import make_site
from shared.clock import ManualClock
from shared.db import Database
from shared.errors import Unauthorized
from tests.support.api import Api
from tests.support.browser import Browser

Open = Callable[..., Browser]


def cookies(answer: object) -> list[str]:
    return [value for name, value in answer.headers if name.lower() == "set-cookie"]


def test_a_token_signs_in_and_the_browser_keeps_something_else(api: Api, open_browser: Open) -> None:
    browser = open_browser()
    browser.get("/sign-in")
    answer = browser.post("/sign-in", {"token": f" {api.member}\n"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    (cookie,) = [one for one in cookies(answer) if one.startswith("dtrove_session=")]
    for wanted in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=28"):
        assert wanted in cookie
    assert "Secure" not in cookie
    assert api.member not in cookie
    page = browser.get("/")
    assert (page.status_code, "member of default" in page.text) == (200, True)
    assert page.headers["Cache-Control"] == "no-store"


def test_over_tls_cookies_go_over_nothing_else(api: Api) -> None:
    for options, headers in (({"base_url": "https://dtrove.example"}, {}), ({}, {"X-Forwarded-Proto": "https"})):
        browser = Browser(make_site(api.context))
        page = browser.client.get("/sign-in", headers={"Accept": "text/html", **headers}, **options)
        assert all("Secure" in one for one in cookies(page))


@pytest.mark.parametrize("token", ["", "  ", "x", "two words", "ümlaut", "dts_nobody"])
def test_what_is_no_token_is_told_in_a_sentence(api: Api, open_browser: Open, token: str) -> None:
    browser = open_browser()
    browser.get("/sign-in")
    answer = browser.post("/sign-in", {"token": token})
    assert answer.status_code in (401, 422)
    assert 'role="alert"' in answer.text
    assert not [one for one in cookies(answer) if one.startswith("dtrove_session=")]


def test_a_session_cannot_be_pasted_as_a_token(api: Api, open_browser: Open) -> None:
    made = api.ask("POST", "/v1/session", {}).json["token"]
    browser = open_browser()
    browser.get("/sign-in")
    answer = browser.post("/sign-in", {"token": made})
    assert (answer.status_code, "a session makes no other one" in answer.text) == (403, True)


def test_a_link_signs_in_once_and_only_when_the_button_is_pressed(api: Api, open_browser: Open) -> None:
    code = api.ask("POST", "/v1/session", {"once": True}, token=api.reader).json["token"]
    browser = open_browser()
    for _ in range(3):
        assert browser.get(f"/sign-in?code={code}").status_code == 200
    assert browser.post("/sign-in", {"code": code}).status_code == 303
    assert "reader of default" in browser.get("/").text
    other = open_browser()
    other.get(f"/sign-in?code={code}")
    refused = other.post("/sign-in", {"code": code})
    assert refused.status_code == 401
    assert 'role="alert"' in refused.text
    assert 'name="token"' in refused.text


def test_a_token_of_keystone_signs_in(database: Database) -> None:
    def judge(token: str) -> tuple[Caller, datetime | None]:
        if token != "of-keystone":
            raise Unauthorized("Keystone does not know the token")
        return Caller("who-it-is", DEFAULT_PROJECT, "member", user="ann"), None

    api = Api(database, keystone=judge)
    browser = Browser(make_site(api.context))
    browser.get("/sign-in")
    assert browser.post("/sign-in", {"token": "of-keystone", "kind": "dtrove"}).status_code == 401
    assert browser.post("/sign-in", {"token": "of-keystone", "kind": "keystone"}).status_code == 303
    assert "ann, member of default" in browser.get("/").text


def test_signing_out_ends_the_session_for_everybody_who_has_its_cookie(api: Api, member: Browser) -> None:
    stolen = member.client.get_cookie("dtrove_session").value
    answer = member.post("/sign-out")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in?out=1")
    assert member.client.get_cookie("dtrove_session") is None
    assert "You are signed out" in member.get("/sign-in?out=1").text
    member.client.set_cookie("dtrove_session", stolen)
    assert member.get("/").status_code == 303
    assert api.rows("sessions") == []


def test_a_revoked_token_takes_its_sessions_along(api: Api, open_browser: Open) -> None:
    made = api.ask("POST", "/v1/tokens", {"name": "ann", "role": "member"}, token=api.admin).json
    browser = open_browser(made["token"])
    api.ask("DELETE", f"/v1/tokens/{made['id']}", token=api.admin)
    # The API here and the one behind the console remember callers by themselves, for a second.
    api.context.callers.forget()
    assert browser.get("/").status_code == 303


def test_a_session_ends_by_itself(api: Api, open_browser: Open) -> None:
    clock = api.database.clock = ManualClock(datetime.now(UTC))
    browser = open_browser(api.member)
    clock.advance(timedelta(hours=7, minutes=59).total_seconds())
    assert browser.get("/").status_code == 200
    clock.advance(timedelta(minutes=2).total_seconds())
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "/a\nb", ""]
)
def test_signing_in_leads_to_no_other_site(api: Api, open_browser: Open, elsewhere: str) -> None:
    browser = open_browser()
    browser.get("/sign-in")
    assert browser.post("/sign-in", {"token": api.member, "next": elsewhere}).headers["Location"] == "/"


def test_nobody_can_be_signed_in_by_a_form_of_another_site(api: Api, open_browser: Open) -> None:
    browser = open_browser()
    browser.get("/sign-in")
    assert browser.post("/sign-in", {"token": api.member}, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    browser.csrf = "x"
    assert browser.post("/sign-in", {"token": api.member}).status_code == 403
    assert api.rows("sessions") == []


@pytest.mark.parametrize(("form", "status"), [(b"x" * 70_000, 413), (b"csrf=%zz", 403), ("csrf=ü".encode(), 400)])
def test_a_form_that_is_none_is_a_page_that_says_so(open_browser: Open, form: bytes, status: int) -> None:
    browser = open_browser()
    browser.get("/sign-in")
    answer = browser.client.post("/sign-in", data=form, content_type="application/x-www-form-urlencoded")
    assert (answer.status_code, answer.mimetype) == (status, "text/html")
