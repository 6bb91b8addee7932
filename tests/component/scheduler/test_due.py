"""The scheduler as it runs: processes of its own, a real broker, a real database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kombu
import pytest
from sqlalchemy import update

from client.rabbitmq import PrivateRabbit
from services.scheduler.actions.schedules import add
from services.scheduler.store.tables import metadata, schedules
from shared.contracts.base import new_id
from shared.db import Database, migrate
from tests.support.installation import ROOT, wait_for

DUE = kombu.Exchange("scheduler.events", type="topic", durable=True)
Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(rabbit: PrivateRabbit, tmp_path: Path) -> Iterator[Start]:
    """Starts a scheduler over a database."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(database_url: str) -> subprocess.Popen[bytes]:
        environ = {**os.environ, "AMQP_URI": rabbit.uri, "SCHEDULER_DATABASE_URL": database_url,
                   "DTROVE_HOME": str(tmp_path)}  # fmt: skip
        command = [sys.executable, "-m", "shared.bus.process", "--config", str(ROOT / "config.yaml"),
                   "services.scheduler.service"]  # fmt: skip
        log = tmp_path / f"log{len(running)}"
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=output)
        running.append(process)
        wait_for(
            lambda: "scheduler runs" in log.read_text() or process.poll() is not None, 40, what="a scheduler's start"
        )
        assert process.poll() is None, log.read_text()
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()


class Ear:
    """A queue bound to what the scheduler says."""

    def __init__(self, uri: str) -> None:
        self._connection = kombu.Connection(uri)
        self._channel = self._connection.channel()
        queue = kombu.Queue(f"ear-{new_id()}", DUE, routing_key="backup.due", exclusive=True)(self._channel)
        queue.declare()
        self._queue = queue
        self.heard: list[dict[str, Any]] = []

    def listen(self, count: int) -> list[dict[str, Any]]:
        """Wait until `count` were heard in all."""

        def more() -> bool:
            while message := self._queue.get(no_ack=True):
                self.heard.append(message.payload if isinstance(message.payload, dict) else json.loads(message.body))
            return len(self.heard) >= count

        wait_for(more, 30, what=f"{count} x backup.due")
        return self.heard

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def ear(rabbit: PrivateRabbit) -> Iterator[Ear]:
    made = Ear(rabbit.uri)
    yield made
    made.close()


def prepared(database_url: str) -> Database:
    migrate.upgrade("scheduler", database_url)
    return Database(database_url, "scheduler", metadata)


def make_due(database: Database, *clusters: str) -> None:
    """Schedules whose next time was a moment ago; the one after is an hour away at least."""
    hour = (datetime.now(UTC) + timedelta(minutes=90)).hour
    for cluster in clusters:
        add(database, cluster, "p1", f"0 {hour} * * *", "UTC", "full")
    with database.write() as tx:
        late = datetime.now(UTC) - timedelta(seconds=5)
        tx.connection.execute(update(schedules).where(schedules.c.cluster_id.in_(clusters)).values(next_at=late))


def test_a_stored_schedule_whose_time_has_come_is_announced_once(start: Start, ear: Ear, database_url: str) -> None:
    database = prepared(database_url)
    make_due(database, "c1")
    start(database_url)
    (event,) = ear.listen(1)
    assert (event["cluster_id"], event["project_id"], event["kind"]) == ("c1", "p1", "full")
    assert len(event["operation_id"]) == len(event["backup_id"]) == 36
    make_due(database, "c2")
    assert [one["cluster_id"] for one in ear.listen(2)] == ["c1", "c2"]


def test_two_schedulers_announce_each_time_once(start: Start, ear: Ear, request: pytest.FixtureRequest) -> None:
    database_url = request.getfixturevalue("postgres").fresh("two")
    database = prepared(database_url)
    start(database_url)
    start(database_url)
    clusters = [f"c{number}" for number in range(30)]
    make_due(database, *clusters)
    assert sorted(one["cluster_id"] for one in ear.listen(30)) == sorted(clusters)
    make_due(database, "last")
    assert [one["cluster_id"] for one in ear.listen(31)][30:] == ["last"]
    assert len({one["event_id"] for one in ear.heard}) == 31


def test_a_scheduler_that_was_killed_announces_on_its_return_what_came_due_meanwhile(
    start: Start, ear: Ear, request: pytest.FixtureRequest
) -> None:
    database_url = request.getfixturevalue("postgres").fresh("killed")
    database = prepared(database_url)
    process = start(database_url)
    process.kill()
    process.wait()
    make_due(database, "c1")
    start(database_url)
    assert [one["cluster_id"] for one in ear.listen(1)] == ["c1"]
