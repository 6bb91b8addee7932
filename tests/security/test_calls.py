"""No call whatever, by whomever, comes to a server error; and who has no good token learns nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from schemathesis import openapi
from urllib3 import HTTPResponse

from services.api.openapi import document
from services.api.routes import ROUTES
from tests.security.calls import Storm, troubles, under_attack
from tests.security.cast import ROLES
from tests.security.judge import Judge
from tests.security.pages import Crowd, PageJudge

pytestmark = [pytest.mark.rabbit, pytest.mark.slow, pytest.mark.fault(24, 25)]
CALLS, VISITS = 800, 1000


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    with under_attack(tmp_path_factory.mktemp("attacked"), seed=7) as made:
        yield made


def test_calls_of_every_kind_as_every_role_come_to_no_server_error_and_reveal_nothing(storm: Storm) -> None:
    storm.blow(CALLS)
    report = storm.judge.report()
    assert report["wrong"] == {}, json.dumps(report["told"], indent=1)
    assert set(report["by_role"]) == set(ROLES)
    assert report["calls"] > 0.8 * CALLS
    assert troubles(storm.cast.installation) == []
    # Some of what was asked was granted: calls that are all refused at the door try nothing behind it.
    assert {"200", "201", "202", "204"} <= set(report["statuses"])


def test_visits_of_every_kind_by_every_role_come_to_no_server_error_and_reveal_nothing(storm: Storm) -> None:
    crowd = Crowd(storm.cast, PageJudge(storm.judge.secrets), seed=7)
    crowd.come(VISITS)
    judge = crowd.judge
    assert not judge.wrong, json.dumps([dict(judge.wrong), judge.told], indent=1)
    assert set(judge.calls) == set(ROLES)
    assert judge.calls.total() > 0.8 * VISITS
    assert troubles(storm.cast.installation) == []
    # Pages were seen, forms did what they are for, and some were not of this session.
    assert {200, 303, 403, 422} <= set(judge.statuses)


def answer(status: int, text: str, kind: str = "application/json") -> requests.Response:
    made = requests.Response()
    made.status_code, made._content, made.headers["Content-Type"] = status, text.encode(), kind
    made.raw = HTTPResponse(headers=dict(made.headers), status=status)
    made.request = requests.Request("GET", "http://x/v1/clusters").prepare()
    return made


PROBLEM = json.dumps(
    {"type": "about:blank", "title": "NotFound", "status": 404, "detail": "it is not there", "errors": []}
)
GUILTY: dict[str, tuple[str, str, requests.Response]] = {
    "server error": ("admin", "GET /v1/clusters", answer(500, PROBLEM, "application/problem+json")),
    "bare": ("admin", "GET /v1/clusters", answer(404, "not found", "text/plain")),
    "revealed": ("admin", "GET /v1/clusters", answer(200, '{"clusters": [], "next": "planted-secret"}')),
    "let in": ("revoked", "GET /v1/clusters", answer(404, PROBLEM, "application/problem+json")),
    "not as described": ("admin", "GET /v1/clusters", answer(200, '{"clusters": 7}')),
}


@pytest.mark.parametrize(
    ("kind", "text", "sent"),
    [("revealed", '{"clusters": [{"id": "mine"}]}', ""), ("let in", '{"status": "ok"}', "/v1/clusters/mine")],
)
def test_the_judge_condemns_what_serves_a_stranger(kind: str, text: str, sent: str) -> None:
    judge = Judge(owned=frozenset(("mine",)))
    for role in ("member", "stranger"):
        judge.hear(role, "GET /v1/clusters", answer(200, text), text, sent=sent)
    assert judge.wrong == {kind: 1}


@pytest.mark.parametrize("kind", GUILTY)
def test_the_judge_condemns_what_is_wrong(kind: str) -> None:
    role, what, given = GUILTY[kind]
    case: Any = openapi.from_dict(document(ROUTES, "0"))["/v1/clusters"]["GET"].Case()
    judge = Judge(frozenset(("planted-secret",)), frozenset(("/healthz",)))
    judge.hear(role, what, given, given.text, case)
    assert kind in judge.wrong, judge.told


def test_the_judge_lets_off_what_is_right() -> None:
    judge = Judge(frozenset(("planted-secret",)), frozenset(("/healthz",)))
    case: Any = openapi.from_dict(document(ROUTES, "0"))["/v1/clusters"]["GET"].Case()
    judge.hear("admin", "GET /v1/clusters", answer(200, '{"clusters": [], "next": null}'), '{"clusters": []}', case)
    judge.hear("revoked", "GET /v1/clusters", answer(401, PROBLEM, "application/problem+json"), PROBLEM)
    judge.hear("none", "GET /healthz", answer(200, '{"status": "ok"}'), '{"status": "ok"}')
    assert not judge.wrong, judge.told
