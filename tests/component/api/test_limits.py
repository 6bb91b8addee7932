"""One client that asks too much is told to wait; the others are served."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from services.api.domain.limits import BURST_SECONDS, Limits
from services.api.settings import Settings
from shared.clock import ManualClock
from shared.config import read
from shared.db import Database
from shared.secrets import write_keyring
from tests.support.api import RING, Api
from tests.support.installation import wait_for
from tests.support.served import Served

RATE = 2.0
BURST = int(RATE * BURST_SECONDS)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def clock(database: Database) -> ManualClock:
    database.clock = ManualClock(datetime.now(UTC))
    return database.clock


def limited(database: Database, **limits: float) -> Api:
    made = Api(database, limits=Limits(**limits))  # type: ignore[arg-type]
    made.know_choices()
    return made


def test_a_token_that_asks_too_often_is_told_when_to_come_again(database: Database, clock: ManualClock) -> None:
    api = limited(database, per_token=RATE)
    assert [api.ask("GET", "/v1/clusters").status_code for _ in range(BURST)] == [200] * BURST
    refused = api.ask("GET", "/v1/clusters")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert "requests a second" in refused.json["detail"]
    assert api.ask("GET", "/v1/clusters", token=api.reader).status_code == 200
    clock.advance(1)
    assert api.ask("GET", "/v1/clusters").status_code == 200


def test_a_request_that_is_refused_for_its_number_does_nothing(database: Database, clock: ManualClock) -> None:
    api = limited(database, per_token=RATE)
    for _ in range(BURST):
        api.ask("GET", "/v1/clusters")
    assert api.ask("POST", "/v1/clusters", {"name": "shop", "datastore": "pgsql 15"}, key="k").status_code == 429
    assert api.rows("clusters") == []
    assert api.rows("idempotency") == []


def test_guesses_at_tokens_are_counted_by_address(database: Database, clock: ManualClock) -> None:
    api = limited(database, per_address=RATE, proxies=("127.0.0.1",))  # type: ignore[arg-type]
    elsewhere = {"X-Forwarded-For": "192.0.2.7"}
    answers = [api.ask("GET", "/v1/clusters", token=f"guess {number}").status_code for number in range(BURST + 1)]
    assert answers == [401] * BURST + [429]
    assert api.ask("GET", "/healthz", token="").status_code == 429
    assert api.ask("GET", "/v1/clusters", headers=elsewhere).status_code == 200


def test_who_is_no_proxy_cannot_pretend_to_come_from_elsewhere(database: Database, clock: ManualClock) -> None:
    api = limited(database, per_address=RATE)
    for number in range(BURST):
        api.ask("GET", "/healthz", token="", headers={"X-Forwarded-For": f"192.0.2.{number}"})
    assert api.ask("GET", "/healthz", token="", headers={"X-Forwarded-For": "192.0.2.99"}).status_code == 429


def test_a_body_may_be_as_large_as_was_set(database: Database) -> None:
    api = limited(database, body_bytes=1024)
    large = b'{"name": "' + b"a" * 1024 + b'"}'
    assert api.ask("POST", "/v1/clusters", raw=large, headers=JSON).status_code == 413
    assert api.ask("POST", "/v1/clusters", raw=large[:900] + b'"}', headers=JSON).status_code == 422


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("few"), streams=3, at_once=1) as made:
        yield made


def follow(served: Served) -> requests.Response:
    return served.ask("GET", "/v1/events?follow=true", stream=True)


def test_a_token_may_have_so_many_streams_and_closing_one_makes_room(few: Served) -> None:
    streams = [follow(few) for _ in range(3)]
    assert [one.status_code for one in streams] == [200] * 3
    refused = follow(few)
    assert refused.status_code == 429
    assert "3 streams are open" in refused.json()["detail"]
    assert few.ask("GET", "/v1/clusters").status_code == 200
    streams.pop().close()

    def room() -> requests.Response | None:
        found = follow(few)
        return found if found.status_code == 200 else None

    for one in (*streams, wait_for(room, 60, what="room for a stream")):
        one.close()


def test_requests_of_a_token_that_are_worked_on_at_once_are_counted_until_their_answer(few: Served) -> None:
    for _ in range(5):
        assert few.ask("GET", "/v1/clusters").status_code == 200
        assert few.ask("GET", "/v1/nothing").status_code == 404
        assert few.ask("POST", "/v1/clusters", data=b"{", headers=JSON).status_code == 400
        assert few.ask("DELETE", "/v1/clusters/x").status_code == 404


def test_while_a_body_trickles_in_another_request_of_the_token_is_refused(few: Served) -> None:
    def refused() -> str:
        found = few.session.get(few.url + "/v1/clusters", timeout=20)
        return str(found.json()["detail"]) if found.status_code == 429 else ""

    def trickle() -> Iterator[bytes]:
        yield b"{"
        # The first request is under way, or about to be, and waits for the rest of its body.
        answers.append(wait_for(refused, 25, what="a refusal"))
        yield b"}"

    answers: list[str] = []
    headers = {**JSON, "Authorization": str(few.session.headers["Authorization"])}
    first = requests.post(f"{few.url}/v1/clusters", data=trickle(), headers=headers, timeout=60)
    assert first.status_code == 422
    assert "being worked on" in answers[0]


def test_an_installation_has_limits_without_being_told(tmp_path: Path) -> None:
    write_keyring(tmp_path / "keyring", RING)
    told = {"API_DATABASE_URL": "sqlite:///x", "AMQP_URI": "amqp://localhost", "DTROVE_HOME": str(tmp_path)}
    limits = read(Settings, told).limits
    assert min(limits.per_token, limits.at_once, limits.streams, limits.body_bytes) > 0
    assert limits.per_address >= limits.per_token
    assert limits.proxies == ()
