"""Operations that fall silent: everybody is asked to say again what was said, and only as often as it takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.api.actions.reminding import LONGEST_PAUSE, SILENCE, remind
from shared.clock import ManualClock
from shared.contracts.operations import OperationProgressed
from shared.db import Database
from shared.db.outbox import Outbox
from tests.support.api import Api
from tests.support.outbox import send_all

A_SECOND = timedelta(seconds=1)


@pytest.fixture
def clock(database: Database) -> ManualClock:
    made = ManualClock(database.clock.now())
    database.clock = made
    return made


def publish(database: Database) -> list[str]:
    """Send what is due, as the relay does; its topics."""
    return [row.routing_key for row in send_all(database)]


def wait(clock: ManualClock, length: timedelta) -> None:
    clock.advance(length.total_seconds())


def progress(operation: str, cluster: str, clock: ManualClock) -> Any:
    return OperationProgressed(
        operation_id=operation, cluster_id=cluster, service="provisioner", kind="build_instance", step="create_server",
        status="running", sequence=int(clock.now().timestamp() * 1_000_000),
    )  # fmt: skip


def test_a_silent_operation_is_said_again_and_asked_for(api: Api, database: Database, clock: ManualClock) -> None:
    _, operation = api.create("silent")
    assert publish(database) == ["cluster.requested"]
    wait(clock, SILENCE + A_SECOND)
    assert remind(database) == [operation]
    assert publish(database) == ["cluster.requested", "operation.reminded"]


def test_what_is_said_again_is_the_same_event(api: Api, database: Database, clock: ManualClock) -> None:
    api.create("same")
    outbox = database.outbox
    publish(database)
    with database.read() as connection:
        before = connection.execute(select(outbox.c.body)).scalars().all()
    wait(clock, SILENCE + A_SECOND)
    remind(database)
    with Outbox(database).batch(100) as batch:
        assert [row.body for row in batch.rows if row.routing_key == "cluster.requested"] == before


def test_one_that_somebody_speaks_of_is_left_alone(api: Api, database: Database, clock: ManualClock) -> None:
    cluster, operation = api.create("lively")
    wait(clock, SILENCE + A_SECOND)
    api.hear(progress(operation, cluster, clock))
    assert remind(database) == []
    wait(clock, SILENCE + A_SECOND)
    assert remind(database) == [operation]


def test_one_that_has_ended_is_left_alone(api: Api, database: Database, clock: ManualClock) -> None:
    cluster, _ = api.create("gone")
    deletion = api.ask("DELETE", f"/v1/clusters/{cluster}").headers["Location"].rpartition("/")[2]
    wait(clock, SILENCE + A_SECOND)
    assert remind(database) == [deletion]


def test_one_that_stays_silent_is_asked_for_ever_less_often(api: Api, database: Database, clock: ManualClock) -> None:
    api.create("patient")
    times = 0
    for _ in range(3600):
        wait(clock, A_SECOND)
        times += len(remind(database))
    wait(clock, timedelta(days=1))
    assert remind(database)
    wait(clock, LONGEST_PAUSE - A_SECOND)
    assert not remind(database)
    wait(clock, A_SECOND)
    assert remind(database)
    assert 10 < times < 3600 / SILENCE.total_seconds() / 4


def test_two_replicas_ask_once(api: Api, database: Database, clock: ManualClock) -> None:
    api.create("shared")
    wait(clock, SILENCE + A_SECOND)
    assert len(remind(database)) == 1
    assert remind(database) == []
