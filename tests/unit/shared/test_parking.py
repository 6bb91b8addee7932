"""How often a message is tried, and what an operator reads of one that was given up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from shared.bus import parking
from shared.bus.parked import describe
from shared.errors import Conflict, Retryable, Unavailable


def message(body: bytes = b"{}", **headers: Any) -> Any:
    return SimpleNamespace(body=body, headers=headers)


def test_what_is_away_is_waited_for_without_end_and_a_refusal_stays_one() -> None:
    assert parking.tries_left(Unavailable("the database does not answer"), 100_000)
    assert not parking.tries_left(Conflict("the name is taken"), 1)


def test_a_bug_has_few_tries_and_what_is_not_there_yet_about_ten_minutes() -> None:
    assert parking.tries_left(RuntimeError("bug"), parking.TRIES_AFTER_BUG - 1)
    assert not parking.tries_left(RuntimeError("bug"), parking.TRIES_AFTER_BUG)
    pauses = [*parking.PAUSES, *[parking.PAUSES[-1]] * parking.TRIES_AFTER_RETRYABLE][: parking.TRIES_AFTER_RETRYABLE]
    assert 540 < sum(pauses) / 1000 < 660
    assert not parking.tries_left(Retryable("not yet"), parking.TRIES_AFTER_RETRYABLE)


def test_a_count_of_tries_that_a_stranger_made_up_counts_for_nothing() -> None:
    assert [parking.tries_of({parking.TRIES: value}) for value in (-5, "many", None, 3)] == [0, 0, 0, 3]


def test_the_brokers_own_headers_tell_queue_and_reason() -> None:
    death = {
        "queue": "evt.api.cluster.requested--provisioner",
        "reason": "delivery_limit",
        "routing-keys": ["cluster.requested"],
    }
    waited = {"queue": "retry.200", "reason": "expired", "routing-keys": ["x"]}
    found = describe(message(**{"x-death": [waited, death]}))
    assert (found.service, found.topic) == ("provisioner", "cluster.requested")
    assert "died over it" in found.reason


def test_the_same_parked_message_has_the_same_id_however_often_it_comes() -> None:
    death = {"queue": "q--s", "reason": "delivery_limit", "time": "2026-11-24"}
    assert describe(message(**{"x-death": [death]})).id == describe(message(**{"x-death": [death]})).id
    known = str(uuid4())
    assert describe(message(**{parking.PARKED_ID: known})).id == known
    assert describe(message(**{parking.PARKED_ID: "'; drop table"})).id != "'; drop table"


def test_headers_that_a_stranger_made_up_are_taken_as_text_that_any_database_holds() -> None:
    strange = {parking.REASON: "a\0b\ud800" * 1000, parking.SERVICE: ["list"], "x-death": "none", "own": "kept"}
    found = describe(message(b"\xff\x00", **strange))
    assert "\0" not in found.reason
    assert len(found.reason) <= 1000
    found.reason.encode()
    assert found.body.encode("latin-1") == b"\xff\x00"
    assert found.headers == {"own": "kept"}
