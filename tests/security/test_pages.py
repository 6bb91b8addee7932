"""Who judges the console's pages under attack condemns what is wrong with one, and the attack knows every page and field."""

from __future__ import annotations

import pytest
import requests

from services.api.web.app import ROUTES
from services.api.web.visits import HEADERS
from tests.security.pages import SCRIPT, PageJudge, document, words

PAGE = "<!doctype html><p>clusters</p>"


def page(status: int, text: str = PAGE, kind: str = "text/html; charset=utf-8", **headers: str) -> requests.Response:
    made = requests.Response()
    made.status_code, made._content = status, text.encode()
    made.headers.update({**HEADERS, "Content-Type": kind, **headers})
    return made


def bare() -> requests.Response:
    made = page(200)
    del made.headers["Content-Security-Policy"]
    return made


GUILTY: dict[str, tuple[str, requests.Response]] = {
    "server error": ("admin", page(500)),
    "bare": ("admin", page(404, "not found", "text/plain")),
    "without its headers": ("admin", bare()),
    "unescaped": ("admin", page(422, f"<p>{SCRIPT}</p>")),
    "revealed": ("admin", page(200, "<p>planted-secret</p>")),
    "let in": ("revoked", page(200)),
}


@pytest.mark.parametrize("kind", GUILTY)
def test_a_page_that_is_wrong_is_condemned(kind: str) -> None:
    role, given = GUILTY[kind]
    judge = PageJudge(frozenset(("planted-secret",)))
    judge.hear(role, "GET /clusters", given, given.text, SCRIPT)
    assert dict(judge.wrong) == {kind: 1}, judge.told


def test_a_page_that_tells_a_stranger_of_another_project_s_things_is_condemned() -> None:
    judge = PageJudge(owned=frozenset(("mine",)))
    for role in ("member", "stranger"):
        judge.hear(role, "GET /clusters", page(200, "<p>mine</p>"), "<p>mine</p>", "")
    assert dict(judge.wrong) == {"revealed": 1}


def test_pages_that_are_right_are_let_off() -> None:
    judge = PageJudge(frozenset(("planted-secret",)), owned=frozenset(("mine",)))
    judge.hear("admin", "GET /clusters", page(200), PAGE, "")
    judge.hear("none", "GET /clusters", page(303, "", Location="/sign-in?next=/clusters"), "", "")
    judge.hear("expired", "GET /sign-in", page(200), PAGE, "")
    judge.hear("stranger", "GET /clusters/{cluster_id}", page(404, "<p>mine is not there</p>"), "<p>mine</p>", "mine")
    assert not judge.wrong, judge.told


def test_every_page_is_visited_and_every_field_of_a_form_is_filled_in() -> None:
    told = document()["paths"]
    assert set(told) == {path for path, *_ in ROUTES}
    assert "post" in told["/clusters/new"]
    assert {"datastore", "volume_gb", "restore.time", "typed", "cron"} <= set(words())
