"""Sessions over HTTP: a caller's right to come in, by a secret of its own that ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.api.actions import sessions
from services.api.actions.access import CACHE_SECONDS, DEFAULT_PROJECT, Caller
from shared.clock import ManualClock
from shared.db import Database
from shared.errors import Unauthorized
from tests.support.api import Api, open_database

HOURS = 8


@pytest.fixture
def clock(api: Api) -> ManualClock:
    api.database.clock = ManualClock(datetime.now(UTC))
    return api.database.clock


def begun(api: Api, token: str, *, once: bool = False) -> Any:
    answer = api.ask("POST", "/v1/session", {"once": once}, token=token)
    assert answer.status_code == 201, answer.text
    return answer.json


def status(api: Api, token: str, path: str = "/v1/clusters") -> int:
    return int(api.ask("GET", path, token=token).status_code)


@pytest.mark.parametrize("role", ["reader", "member", "admin"])
def test_a_session_may_what_its_token_may_and_says_who_that_is(api: Api, role: str) -> None:
    made = begun(api, getattr(api, role))
    who = api.get("/v1/session", token=made["token"])
    assert (who["user"], who["role"], who["project"]["name"]) == (role, role, "default")
    assert (who["session"], who["expires_at"]) == (made["id"], made["expires_at"])
    wish = {"name": "shop", "datastore": "pgsql 15"}
    answer = api.ask("POST", "/v1/clusters", wish, token=made["token"])
    assert answer.status_code == (403 if role == "reader" else 202)


def test_a_token_says_who_it_is_without_any_session(api: Api) -> None:
    who = api.get("/v1/session")
    assert (who["user"], who["session"], who["expires_at"]) == ("member", None, None)


def test_a_session_ends_when_it_said_it_would(api: Api, clock: ManualClock) -> None:
    made = begun(api, api.member)
    left = datetime.fromisoformat(made["expires_at"]) - clock.now()
    assert abs(left - timedelta(hours=HOURS)) < timedelta(seconds=1)
    clock.advance(left.total_seconds() - 2)
    assert status(api, made["token"]) == 200
    clock.advance(3)
    assert status(api, made["token"]) == 401


def test_a_session_ends_when_somebody_signs_out_and_the_token_goes_on(api: Api) -> None:
    made, other = begun(api, api.member), begun(api, api.member)
    assert status(api, made["token"]) == 200
    assert api.ask("DELETE", "/v1/session", token=made["token"]).status_code == 204
    assert status(api, made["token"]) == 401
    assert (status(api, other["token"]), status(api, api.member)) == (200, 200)
    assert api.ask("DELETE", "/v1/session", token=api.member).status_code == 409


def test_a_session_outlives_no_token(api: Api, clock: ManualClock) -> None:
    made = api.ask("POST", "/v1/tokens", {"name": "x", "role": "reader"}, token=api.admin).json
    session = begun(api, made["token"])
    short = begun(api, api.token("reader", expires_at=clock.now() + timedelta(seconds=60)))
    assert (status(api, session["token"]), status(api, short["token"])) == (200, 200)
    api.ask("DELETE", f"/v1/tokens/{made['id']}", token=api.admin)
    clock.advance(61)
    assert (status(api, session["token"]), status(api, short["token"])) == (401, 401)


def test_a_session_makes_no_other_one(api: Api) -> None:
    made = begun(api, api.admin)
    for once in (True, False):
        assert api.ask("POST", "/v1/session", {"once": once}, token=made["token"]).status_code == 403
    link = begun(api, api.admin, once=True)
    assert api.ask("POST", "/v1/session", {"once": True}, token=link["token"]).status_code == 403


def test_a_link_is_good_for_one_exchange_and_for_nothing_else(api: Api) -> None:
    link = begun(api, api.member, once=True)
    for path in ("/v1/clusters", "/v1/session", "/v1/events?follow=true", "/metrics"):
        assert status(api, link["token"], path) == 401, path
    assert api.ask("DELETE", "/v1/session", token=link["token"]).status_code == 401
    made = begun(api, link["token"])
    assert api.get("/v1/session", token=made["token"])["role"] == "member"
    assert api.ask("POST", "/v1/session", {}, token=link["token"]).status_code == 401


def test_of_two_who_use_a_link_at_the_same_moment_one_comes_in(database: Database) -> None:
    api = Api(database)
    link = begun(api, api.member, once=True)
    who = Caller("token", DEFAULT_PROJECT, "member", session=link["id"], once=True)
    with database.write() as tx:
        sessions._used_up(tx, link["id"])
    with database.write() as tx, pytest.raises(Unauthorized, match="exchanged already"):
        sessions._used_up(tx, who.session)


def test_a_link_waits_ten_minutes(api: Api, clock: ManualClock) -> None:
    link = begun(api, api.member, once=True)
    clock.advance(sessions.LINK.total_seconds() + 1)
    assert api.ask("POST", "/v1/session", {}, token=link["token"]).status_code == 401


def test_what_opens_a_session_is_kept_only_as_a_hash(api: Api) -> None:
    made = begun(api, api.admin)
    for table in ("sessions", "audit", "outbox", "events"):
        assert all(made["token"] not in str(tuple(row)) for row in api.rows(table)), table
    lines = api.get("/v1/audit", token=api.admin)["audit"]
    assert [(one["action"], one["subject"]) for one in lines] == [("POST /v1/session", made["id"])]


def test_a_session_that_another_replica_ended_ends_within_a_second(database_url: str) -> None:
    clock = ManualClock(datetime.now(UTC))
    here = Api(open_database(database_url, clock))
    there = Api(Database(database_url, "api", here.database.metadata, clock))
    made = begun(here, here.member)
    assert status(there, made["token"]) == 200
    here.ask("DELETE", "/v1/session", token=made["token"])
    clock.advance(CACHE_SECONDS)
    assert status(there, made["token"]) == 401


def test_who_signs_in_again_and_again_shuts_the_oldest(api: Api, clock: ManualClock) -> None:
    made = []
    for _ in range(sessions.MOST + 2):
        clock.advance(1)
        made.append(begun(api, api.member))
    clock.advance(CACHE_SECONDS)
    assert len(api.rows("sessions")) == sessions.MOST
    assert [status(api, one["token"]) for one in (made[1], made[2], made[-1])] == [401, 200, 200]


def test_sessions_that_are_over_are_forgotten(api: Api, clock: ManualClock) -> None:
    begun(api, api.member)
    assert sessions.forget_old(api.database) == 0
    clock.advance(timedelta(hours=HOURS, seconds=1).total_seconds())
    assert sessions.forget_old(api.database) == 1
    assert api.rows("sessions") == []


def test_a_session_of_keystone_asks_keystone_and_keeps_its_token_sealed(database: Database) -> None:
    good = [True]

    def judge(token: str) -> tuple[Caller, datetime | None]:
        if not good[0] or token != "of-keystone":
            raise Unauthorized("Keystone does not know the token")
        return Caller("who-it-is", DEFAULT_PROJECT, "member", user="ann"), None

    database.clock = ManualClock(datetime.now(UTC))
    api = Api(database, keystone=judge)
    answer = api.ask("POST", "/v1/session", {"once": True}, token="", headers={"X-Auth-Token": "of-keystone"})
    made = begun(api, answer.json["token"])
    assert api.get("/v1/session", token=made["token"])["user"] == "ann"
    with api.database.read() as connection:
        kept = connection.exec_driver_sql("select keystone_token from sessions").scalar_one()
    assert kept
    assert "of-keystone" not in kept
    good[0] = False
    database.clock.advance(31)
    assert status(api, made["token"]) == 401


def test_an_unknown_session_is_no_token(api: Api) -> None:
    assert status(api, "dts_nobody") == 401
