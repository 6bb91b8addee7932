"""Handlers over a real broker: what raises is tried again after a pause, what cannot be handled is parked."""

from __future__ import annotations

import itertools
import json
import uuid

import pytest

from shared.bus import parking
from tests.component.bus.conftest import Stage
from tests.support.installation import wait_for


@pytest.fixture
def playing(stage: Stage) -> Stage:
    """A stage and a keeper of parked messages, both running."""
    stage.start("stage", "keeper")
    return stage


def test_a_handler_that_raises_is_tried_a_bounded_number_of_times_with_pauses_then_parked(playing: Stage) -> None:
    event_id = playing.ask("fail")
    (parked,) = playing.parked(60)
    tries = [one["at"] for one in playing.notes("fail")]
    assert len(tries) == parking.TRIES_AFTER_BUG
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert all(pause >= wanted / 1000 for pause, wanted in zip(pauses, parking.PAUSES, strict=False))
    assert "RuntimeError: the stage is broken" in parked["reason"]
    assert (parked["queue"], parked["topic"]) == (playing.queue, "stage.asked")
    assert json.loads(parked["body"])["event_id"] == event_id
    assert playing.depth(playing.queue) == 0


def test_a_refusal_is_parked_at_once_with_its_words(playing: Stage) -> None:
    playing.ask("refuse")
    (parked,) = playing.parked(5)
    assert parked["reason"] == "Conflict: the stage will not"


def test_messages_that_wait_for_their_next_try_hold_up_no_others(playing: Stage) -> None:
    for _ in range(30):
        playing.ask("wait")
    playing.noted("wait", count=30)
    playing.ask("note", after="them")
    (noted,) = playing.noted("note", 2)
    assert noted["after"] == "them"
    (playing.home / "mended").touch()
    playing.noted("handled", 30, count=30)


def test_a_message_waits_for_as_long_as_what_it_needs_is_away(playing: Stage) -> None:
    playing.ask("wait", unavailable=True)
    playing.noted("wait", 40, count=parking.TRIES_AFTER_BUG + 1)
    (playing.home / "mended").touch()
    playing.noted("handled", 20)
    assert not playing.notes("parked")


NONSENSE = {
    b"{not json": "does not decode",
    b"\xff\xfe\x00": "does not decode",
    b"[" * 100_000: "does not decode",
    b'"a string"': "is not a JSON object",
    b"{}": "wish",
    b'{"wish": 5, "values": "text"}': "values",
}


def test_a_body_that_makes_no_sense_is_parked_whole_and_the_next_one_is_handled(playing: Stage) -> None:
    for body in NONSENSE:
        playing.publish(body)
    playing.ask("note")
    playing.noted("note")
    found = {one["body"].encode("latin-1"): one["reason"] for one in playing.parked(20, len(NONSENSE))}
    assert set(found) == set(NONSENSE)
    assert all(NONSENSE[body] in reason for body, reason in found.items())


def test_the_content_type_opens_no_other_door_than_json(playing: Stage) -> None:
    kinds = ["application/x-python-serialize", "text/plain", "application/x-unknown", "application/data"]
    for kind in kinds:
        body = {"event_id": str(uuid.uuid4()), "wish": "note", "values": {"type": kind}}
        playing.publish(json.dumps(body).encode(), content_type=kind)
    playing.publish(b"cos\nsystem\n(S'true'\ntR.", content_type=kinds[0])
    playing.publish(b"{}", headers={"compression": "application/x-unknown"})
    playing.noted("note", count=len(kinds))
    playing.parked(count=2)


def test_a_message_that_kills_whoever_takes_it_is_parked_by_the_broker_with_queue_and_reason(stage: Stage) -> None:
    first = stage.start()
    stage.ask("die")
    assert first.wait(60) == 9
    stage.start("keeper", wait=False)

    def parked_by_now() -> bool:
        # What a dead one had in hand lies in the queue again only when the broker has noticed.
        if stage.depth(stage.queue):
            stage.take_and_die(stage.queue)
        return bool(stage.notes("parked"))

    wait_for(parked_by_now, 120, 0.1, "a parked message")
    (parked,) = stage.parked()
    assert (parked["queue"], parked["topic"]) == (stage.queue, stage.queue)
    assert str(parking.DELIVERY_LIMIT) in parked["reason"]


def test_a_message_delivered_five_times_has_one_effect(playing: Stage) -> None:
    event_id = playing.ask("effect", times=5)
    playing.ask("note")
    playing.noted("note")
    wait_for(lambda: playing.depth(playing.queue) == 0)
    assert [one["event_id"] for one in playing.notes("effect")] == [event_id]
