"""A service whose broker stops, dies, freezes or comes late: it waits, says so, loses nothing and comes back."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import kombu
import pytest

from tests.component.bus.conftest import Broker, Stage
from tests.support.installation import wait_for
from tests.support.proxy import ConsumeProxy
from tests.support.rabbit import remembers

# From the moment the broker takes connections, as row 8 of the faults has it.
BACK_SECONDS = 30


@pytest.fixture
def playing(broker: Broker, stages: Callable[..., Stage]) -> Stage:
    """A stage on the broker that is ill-treated."""
    stage = stages(broker.uri)
    stage.start()
    return stage


def consumes_again(stage: Stage, mark: str) -> float:
    """Seconds until an event and a call are answered, by the process that was there before."""
    began = time.monotonic()
    stage.ask("call", service=stage.name, method="echo", args=[mark])
    stage.noted("answer", BACK_SECONDS, answer=[mark])
    assert len(stage.processes) == 1
    assert stage.processes[0].poll() is None
    return time.monotonic() - began


@pytest.mark.fault(8)
def test_everything_consumes_again_within_seconds_of_a_graceful_restart(broker: Broker, playing: Stage) -> None:
    # So that connections are open that the restart cuts.
    consumes_again(playing, "before")
    broker.stop()
    broker.back()
    assert consumes_again(playing, "graceful") < BACK_SECONDS


@pytest.mark.fault(8)
def test_everything_consumes_again_within_seconds_of_a_broker_that_was_killed(broker: Broker, playing: Stage) -> None:
    wait_for(lambda: remembers(broker, playing.queue), 10)
    broker.signal(signal.SIGKILL)
    broker.stop()
    wait_for(lambda: playing.said("waiting for RabbitMQ"))
    broker.back()
    assert consumes_again(playing, "killed") < BACK_SECONDS


@pytest.mark.fault(8)
def test_a_line_that_breaks_just_before_a_message_is_answered_ends_nobody(broker: Broker, playing: Stage) -> None:
    asked = playing.ask("cut")
    # Unanswered, it comes again over the next line.
    playing.noted("cut", count=2, id=asked)
    assert consumes_again(playing, "after the cut") < BACK_SECONDS


@pytest.mark.fault(8)
def test_a_broker_that_falls_silent_while_consumers_begin_is_left_for_a_new_connection(
    broker: Broker, stages: Callable[..., Stage]
) -> None:
    port = int(broker.uri.rpartition(":")[2].partition("/")[0])
    proxy = ConsumeProxy(port)
    try:
        proxy.armed = 1
        stage = stages(broker.uri.replace(f":{port}", f":{proxy.port}"))
        stage.start()
        assert proxy.silenced == 1
        consumes_again(stage, "over another line")
    finally:
        proxy.close()


def test_a_call_that_finishes_while_the_broker_is_away_costs_its_reply_and_no_more(
    broker: Broker, playing: Stage
) -> None:
    playing.request("sleep", b'{"args": [2], "kwargs": {}}', reply_to="nowhere")
    playing.noted("sleeping")
    broker.stop()
    playing.noted("slept")
    wait_for(lambda: playing.said("the reply to"), 30)
    broker.back()
    consumes_again(playing, "after a lost reply")


def test_what_is_announced_while_the_broker_is_down_is_kept_and_delivered(broker: Broker, playing: Stage) -> None:
    with playing.listening("operation.progressed") as heard:
        playing.ask("file", subjects=["s"], seconds=2)
        playing.noted("began")
        broker.stop()
        playing.noted("ended")
        wait_for(lambda: playing.said("waiting for RabbitMQ (outbox)"), 30)
        broker.back()
        wait_for(lambda: playing.unsent() == 0, 30)
    # A broker that stops may have kept what it did not confirm any more: that comes twice, under one event_id.
    once = {one["event_id"]: one["status"] for one in heard}
    assert list(once.values()) == ["running", "succeeded"]


@pytest.mark.fault(8)
def test_a_frozen_broker_blocks_neither_the_outbox_nor_a_caller_for_ever(broker: Broker, playing: Stage) -> None:
    playing.ask("call", service=playing.name, method="echo", args=["unheard"], timeout=3, after=1)
    playing.ask("file", subjects=["s"], seconds=1)
    playing.noted("calling")
    playing.noted("began")
    with broker.frozen():
        (refusal,) = playing.noted("refusal", 10)
        assert refusal["seconds"] >= 3
        wait_for(lambda: playing.said("waiting for RabbitMQ (outbox)"), 40)
    assert consumes_again(playing, "thawed") < BACK_SECONDS


def test_a_service_that_starts_before_its_broker_waits_and_says_so(
    broker: Broker, stages: Callable[..., Stage]
) -> None:
    stage = stages(broker.uri)
    broker.stop()
    process = stage.start(wait=False)
    wait_for(lambda: stage.said("waiting for RabbitMQ"), 20)
    assert process.poll() is None
    broker.back()
    wait_for(lambda: stage.consumers(stage.queue), 20)
    stage.ask("note")
    stage.noted("note")


def test_a_queue_that_is_deleted_under_a_service_is_made_again(broker: Broker, playing: Stage) -> None:
    with playing.channel() as channel:
        channel.queue_delete(playing.queue)
    wait_for(lambda: playing.consumers(playing.queue), 15)
    playing.ask("note")
    playing.noted("note")


def test_an_event_that_nobody_takes_yet_waits_in_the_outbox(broker: Broker, playing: Stage) -> None:
    playing.ask("announce", count=3)
    playing.noted("announced")
    exchange = kombu.Exchange(f"{playing.name}.events", type="topic", durable=True)
    queue = kombu.Queue(f"late-{playing.name}", exchange, routing_key="stage.told", durable=True)
    numbers: list[Any] = []
    with kombu.Connection(playing.uri) as connection:
        bound = queue(connection.channel())
        wait_for(lambda: _declared(bound), 20)

        def take() -> bool:
            if message := bound.get(no_ack=True):
                numbers.append(json.loads(message.body)["number"])
            return len(numbers) == 3

        wait_for(take, 40)
    assert sorted(numbers) == [0, 1, 2]


def _declared(queue: Any) -> bool:
    queue.declare()
    return True
