"""Parked messages end to end: a bad message shows with its reason, and after mending a replay handles it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kombu
import pytest
import requests
import yaml
from sqlalchemy import text

from client.local.addresses import any_free
from client.rabbitmq import PrivateRabbit
from services.api.actions.access import digest
from shared.db.engine import make_engine
from shared.secrets import Keyring, new_key, write_keyring
from tests.component.bus.conftest import Stage
from tests.support.installation import ROOT, wait_for

TOKEN, CANARY = "the-first-token", "canary-token-5d1"


class ApiProcess:
    """The real api service alone, with a broker and a database."""

    def __init__(self, rabbit: PrivateRabbit, home: Path, database_url: str) -> None:
        self.url = f"http://{any_free()}"
        self.uri, self.database_url = rabbit.uri, database_url
        write_keyring(home / "keyring", Keyring((new_key(),)))
        settings = {
            "AMQP_URI": rabbit.uri, "API_DATABASE_URL": database_url, "DTROVE_HOME": str(home),
            "WEB_SERVER_ADDRESS": self.url.removeprefix("http://"), "DTROVE_BOOTSTRAP_TOKEN_HASH": digest(TOKEN),
        }  # fmt: skip
        (home / "config.yaml").write_text(yaml.safe_dump(settings))
        command = [
            sys.executable,
            "-m",
            "shared.bus.process",
            "--config",
            str(home / "config.yaml"),
            "services.api.service",
        ]
        self.output = home / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=dict(os.environ))

    def ask(self, method: str, path: str) -> requests.Response:
        """One request of the administrator's."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return requests.request(method, self.url + path, headers=headers, timeout=10)

    def alive(self) -> bool:
        """Whether it serves HTTP."""
        try:
            return self.ask("GET", "/healthz").ok
        except requests.RequestException:
            return False

    def parked(self, **values: Any) -> list[dict[str, Any]]:
        """Parked messages with these values."""
        found = self.ask("GET", "/v1/parked?limit=100").json()["parked"]
        return [one for one in found if values.items() <= one.items()]

    def announce(self, body: bytes, topic: str = "cluster.requested") -> None:
        """Say something on the exchange for other systems."""
        exchange = kombu.Exchange("external.events", type="topic", durable=True)
        with kombu.Connection(self.uri) as connection:
            producer = kombu.Producer(connection.channel(), exchange)
            producer.publish(body, routing_key=topic, content_type="application/json", content_encoding="utf-8",
                             serializer=None)  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def api(
    rabbit: PrivateRabbit, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ApiProcess]:
    home = tmp_path_factory.mktemp("api")
    url = f"sqlite:///{home}/api.sqlite"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").fresh("parked")
    made = ApiProcess(rabbit, home, url)
    try:
        wait_for(lambda: made.alive() or made.process.poll() is not None, 60, what="the API")
        assert made.process.poll() is None, made.output.read_text()
        yield made
    finally:
        made.process.terminate()
        made.process.wait(20)


def test_a_message_that_failed_shows_with_its_reason_and_a_replay_after_mending_handles_it(
    api: ApiProcess, stage: Stage
) -> None:
    stage.start()
    event_id = stage.ask("fail", operation_id="op")
    (message,) = wait_for(lambda: api.parked(service=stage.name), 40)
    assert message["reason"] == "RuntimeError: the stage is broken"
    assert (message["queue"], message["topic"]) == (stage.queue, "stage.asked")
    assert message["body"]["event_id"] == event_id
    (stage.home / "mended").touch()
    assert api.ask("POST", f"/v1/parked/{message['id']}/replay").status_code == 202
    stage.noted("handled", id=event_id)
    assert not api.parked(service=stage.name)
    assert api.ask("POST", f"/v1/parked/{message['id']}/replay").status_code == 404


def test_a_replay_that_fails_again_comes_back(api: ApiProcess, stage: Stage) -> None:
    stage.start()
    stage.ask("refuse")
    (message,) = wait_for(lambda: api.parked(service=stage.name), 20)
    api.ask("POST", f"/v1/parked/{message['id']}/replay")
    again = wait_for(lambda: api.parked(service=stage.name), 20)
    assert [one["reason"] for one in again] == [message["reason"]]
    assert again[0]["id"] != message["id"]


def test_a_dropped_message_is_gone(api: ApiProcess, stage: Stage) -> None:
    stage.start()
    stage.ask("refuse")
    (message,) = wait_for(lambda: api.parked(service=stage.name), 20)
    assert api.ask("DELETE", f"/v1/parked/{message['id']}").status_code == 204
    assert not api.parked(service=stage.name)
    assert api.ask("DELETE", f"/v1/parked/{message['id']}").status_code == 404


def test_a_refused_wish_from_outside_names_its_field_and_shows_its_token_nowhere(api: ApiProcess) -> None:
    known = json.dumps(
        {"event_id": str(uuid.uuid4()), "token": TOKEN, "cluster": {"name": "BAD NAME", "datastore": "x"}}
    )
    stranger = json.dumps({"event_id": str(uuid.uuid4()), "token": CANARY, "cluster": {}})
    broken = f'{{"token": "{CANARY}", "cluster": '
    for body in (known, stranger, broken):
        api.announce(body.encode())
    messages = wait_for(lambda: len(found := api.parked(service="api")) == 3 and found, 20)
    reasons = sorted(one["reason"] for one in messages)
    assert any("name must be 1 to 63" in reason for reason in reasons)
    assert any("Unauthorized" in reason for reason in reasons)
    assert any("does not decode" in reason for reason in reasons)
    shown = json.dumps(messages)
    assert "***" in shown
    assert all(secret not in shown for secret in (TOKEN, CANARY))
    for message in messages:
        api.ask("POST", f"/v1/parked/{message['id']}/replay")
    wait_for(lambda: len(api.parked(service="api")) == 3, 20)
    assert CANARY not in api.output.read_text()
    assert CANARY not in _everything(api.database_url)


def _everything(url: str) -> str:
    """What the tables hold, as text."""
    engine = make_engine(url)
    with engine.connect() as connection:
        tables = ("parked", "outbox", "events", "audit")
        return str([connection.execute(text(f"select * from {name}")).all() for name in tables])
