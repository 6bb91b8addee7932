"""Step workers in a real process: nothing that is ready waits for a tick, and all hands are used."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from statistics import mean

import pytest

from client.rabbitmq import PrivateRabbit
from shared.engine import LEASE_SECONDS
from tests.component.bus.conftest import Stage
from tests.component.bus.stage import WORKERS
from tests.support.installation import wait_for
from tests.support.postgres import PrivatePostgres


@pytest.fixture
def on_postgresql(rabbit: PrivateRabbit, postgres: PrivatePostgres, stages: Callable[..., Stage]) -> list[Stage]:
    """Two replicas of one stage on one database, with idle hands."""
    stage = stages(rabbit.uri, STAGE_DATABASE=postgres.fresh("stage"))
    stage.start()
    stage.start()
    wait_for(lambda: stage.consumers(stage.queue) == 2, 30)
    return [stage]


@pytest.fixture
def playing(stage: Stage) -> Stage:
    """A stage with idle hands."""
    stage.start()
    return stage


def test_a_filed_task_starts_at_once_though_the_workers_sleep(playing: Stage) -> None:
    delays = []
    for number in range(8):
        playing.ask("file", subjects=[f"s{number}"], seconds=0)
        began = playing.noted("began", count=number + 1)[-1]
        delays.append(began["at"] - playing.noted("filed", count=number + 1)[-1]["at"])
    assert mean(delays) < 0.5


def test_many_tasks_use_all_hands_at_once(playing: Stage) -> None:
    playing.ask("file", subjects=[f"s{number}" for number in range(WORKERS * 2)], seconds=1.5)
    playing.noted("ended", 30, count=WORKERS * 2)
    began = sorted(one["at"] for one in playing.notes("began"))
    assert began[WORKERS - 1] - began[0] < 0.75
    assert began[WORKERS] - began[0] >= 1.4


def test_a_task_that_waits_for_its_subject_goes_on_as_soon_as_that_is_free(playing: Stage) -> None:
    playing.ask("file", subjects=["one", "one", "one"], seconds=0.3)
    playing.noted("ended", count=3)
    ended, began = playing.notes("ended"), playing.notes("began")
    gaps = [later["at"] - earlier["at"] for earlier, later in zip(ended, began[1:], strict=False)]
    assert all(0 <= gap < 1.0 for gap in gaps), gaps


def test_many_tasks_of_a_busy_subject_hold_up_no_others(playing: Stage) -> None:
    playing.ask("file", subjects=["busy"] * 60, seconds=0.5)
    playing.noted("began")
    playing.ask("file", subjects=["other"], seconds=0)
    wait_for(lambda: len({one["task"][:8] for one in playing.notes("ended")}) == 2, 5)
    assert len(playing.notes("ended")) < 20


def test_a_killed_workers_task_is_taken_up_within_its_lease_and_five_seconds(playing: Stage) -> None:
    playing.ask("file", subjects=["s"], seconds=4)
    (first,) = playing.noted("began")
    playing.processes[0].kill()
    playing.start(wait=False)
    second = playing.noted("began", LEASE_SECONDS + 10, count=2)[-1]
    assert second["at"] - first["at"] < LEASE_SECONDS + 5
    playing.noted("ended")
    wait_for(lambda: playing.tasks() == [("succeeded", 2)])


def test_a_frozen_workers_task_is_taken_over_and_what_it_does_after_that_counts_for_nothing(playing: Stage) -> None:
    playing.ask("file", subjects=["s"], seconds=2)
    playing.noted("began")
    os.kill(playing.processes[0].pid, signal.SIGSTOP)
    playing.start(wait=False)
    playing.noted("ended", LEASE_SECONDS + 20)
    wait_for(lambda: playing.tasks() == [("succeeded", 2)])
    os.kill(playing.processes[0].pid, signal.SIGCONT)
    playing.noted("ended", count=2)
    wait_for(lambda: playing.said("gave up"))
    assert playing.tasks() == [("succeeded", 2)]


def test_replicas_share_the_tasks_of_one_database_and_each_message_leaves_once(on_postgresql: list[Stage]) -> None:
    (stage,) = on_postgresql
    with stage.listening("#") as heard:
        stage.ask("file", subjects=[f"s{number % 15}" for number in range(30)], seconds=0.2)
        stage.ask("announce", count=50)
        stage.noted("ended", 30, count=30)
        stage.noted("announced")
        wait_for(lambda: stage.depth(f"ear-{stage.name}") >= 30 * 2 + 50, 20)
    assert len(stage.notes("began")) == 30
    assert len({one["event_id"] for one in heard}) == len(heard) == 30 * 2 + 50
    assert [one["number"] for one in heard if "number" in one].count(7) == 1
