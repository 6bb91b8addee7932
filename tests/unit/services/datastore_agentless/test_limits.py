"""How long a host that does not answer is left alone."""

from __future__ import annotations

import pytest

from services.datastore_agentless.hosts.base import HostUnreachable
from services.datastore_agentless.hosts.limits import CHEAP_PAUSE, Breaker
from shared.clock import ManualClock

HOST = ("10.0.0.7", 22)
FIRST, CAP = 0.5, 15.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker(clock, failures=3, first=FIRST, cap=CAP)


def shut_for(breaker: Breaker, clock: ManualClock) -> float:
    """Seconds until an attempt is let through."""
    passed = 0.0
    while True:
        try:
            breaker.guard(HOST, "n-1")
        except HostUnreachable:
            clock.advance(0.1)
            passed += 0.1
        else:
            return passed


def fail(breaker: Breaker, times: int, cost: float) -> None:
    for _ in range(times):
        breaker.failed(HOST, "refused", cost)


def test_a_host_is_asked_until_it_has_failed_three_times_in_a_row(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, 2, cost=8.0)
    assert shut_for(breaker, clock) == 0
    fail(breaker, 1, cost=8.0)
    assert shut_for(breaker, clock) > 0


def test_one_that_keeps_workers_waiting_is_left_alone_ever_longer(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, 3, cost=8.0)
    short = shut_for(breaker, clock)
    fail(breaker, 7, cost=8.0)
    assert short < CAP / 2 <= shut_for(breaker, clock) <= CAP + 0.1


def test_one_that_refuses_at_once_is_asked_again_soon_however_often_it_did(
    breaker: Breaker, clock: ManualClock
) -> None:
    fail(breaker, 100, cost=0.01)
    assert 0 < shut_for(breaker, clock) <= CHEAP_PAUSE + 0.1


def test_an_answer_makes_up_for_every_failure(breaker: Breaker, clock: ManualClock) -> None:
    fail(breaker, 100, cost=8.0)
    breaker.succeeded(HOST)
    fail(breaker, 2, cost=8.0)
    assert shut_for(breaker, clock) == 0
