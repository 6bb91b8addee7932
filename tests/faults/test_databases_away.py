"""Row 10: PostgreSQL goes away, falls silent, or takes a COMMIT and does not say so: 503, and nothing lost or doubled."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from bench.figures import at_most
from tests.faults.stack import Stack
from tests.faults.traffic import Traffic
from tests.support.faults import exactly
from tests.support.installation import wait_for

pytestmark = [pytest.mark.rabbit, pytest.mark.slow, pytest.mark.fault(10), pytest.mark.timeout(3600)]
ASKED = ("/v1/clusters", "/v1/operations", "/v1/events", "/v1/flavors", "/v1/datastores", "/metrics", "/healthz")


@contextmanager
def watched(stack: Stack) -> Iterator[tuple[Counter[int], list[float]]]:
    """Ask the API all the time; how often it answered with which status, and how long each answer took."""
    statuses: Counter[int] = Counter()
    taken: list[float] = []
    stop = threading.Event()
    headers = {"Authorization": f"Bearer {stack.token}"}

    def ask(path: str) -> None:
        while not stop.wait(0.2):
            began = time.monotonic()
            statuses[requests.get(stack.url + path, headers=headers, timeout=120).status_code] += 1
            taken.append(time.monotonic() - began)

    threads = [threading.Thread(target=ask, args=(path,)) for path in ASKED]
    for thread in threads:
        thread.start()
    try:
        yield statuses, taken
    finally:
        stop.set()
        for thread in threads:
            thread.join(120)


def _holds(
    stack: Stack, away: Callable[[], None], back: Callable[[], None], seconds: float
) -> tuple[Counter[int], float, float]:
    """Take the database away under load: which answers came, the slowest, and how long after its return all was ready."""
    with Traffic(stack, clients=4).flowing() as traffic, watched(stack) as (statuses, taken):
        threading.Event().wait(2)
        away()
        threading.Event().wait(seconds)
        back()
        began = time.monotonic()
        wait_for(stack.ready, 60, 0.1, "readiness")
        ready = time.monotonic() - began
        threading.Event().wait(2)
    traffic.nothing_is_left()
    assert set(statuses) <= {200, 503}, statuses
    assert statuses[503] > 0, statuses
    return statuses, max(taken), ready


def test_while_the_database_is_gone_the_api_says_503_and_nothing_is_lost_or_doubled(
    sim: Stack, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    seconds = times(10, 60)
    statuses, slowest, ready = _holds(sim, sim.sql.refuse, sim.sql.accept, seconds)
    total = sum(statuses.values())
    figure(
        10, f"answers of the API that were no 200 and no 503, database gone for {seconds} s", total, 0, "", exactly(0)
    )
    figure(10, "slowest of these answers", total, slowest, "s", at_most(15, "s"))
    figure(10, "ready again after the database's return", 1, ready, "s", at_most(20, "s"))


def test_a_database_that_falls_silent_is_answered_for_in_bounded_time(
    sim: Stack, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    seconds = times(30, 60)
    statuses, slowest, ready = _holds(sim, sim.sql.silence, sim.sql.resume, seconds)
    total = sum(statuses.values())
    figure(10, f"slowest answer of the API, database silent for {seconds} s", total, slowest, "s", at_most(30, "s"))
    figure(10, "ready again after the database's silence", 1, ready, "s", at_most(20, "s"))


def test_commits_whose_outcome_nobody_knows_are_done_once(
    sim: Stack, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    wanted, before = times(30, 500), sim.sql.lost
    with Traffic(sim, clients=6).flowing() as traffic, watched(sim) as (statuses, _):
        while sim.sql.lost - before < wanted:
            sim.sql.armed = 1
            wait_for(lambda: sim.sql.armed == 0, 60, 0.01, "a commit")
            threading.Event().wait(0.1)
    lost = sim.sql.lost - before
    traffic.nothing_is_left()
    assert set(statuses) <= {200, 503}, statuses
    figure(10, "commits whose answer was lost, doubled or lost effects", lost, 0, "", exactly(0))
