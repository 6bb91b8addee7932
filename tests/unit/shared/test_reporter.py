"""A step's words reach the user soon, however chatty or silent it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.clock import ManualClock
from shared.errors import StaleEpoch
from shared.reporter import REPORT_SECONDS, Reporter, Running
from shared.workflow import Task


@dataclass
class Ear:
    """What was announced."""

    clock: ManualClock = field(default_factory=ManualClock)
    heard: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        task = Task("t", "work", "s", "c", "o", "h", {}, "forward", "step", (), 0, 1, 1, self.clock.now())
        self.running = Running(task)
        self.reporter = Reporter(self.running, self._hear, self.clock)

    def _hear(self, _task: Task, _status: str, **values: Any) -> None:
        self.heard.append(values["output"])


def test_output_is_gathered_so_that_a_chatty_step_does_not_flood_the_bus() -> None:
    ear = Ear()
    ear.clock.advance(1)
    for number in range(5):
        ear.reporter.report(None, "", f"{number}\n")
    assert ear.heard == ["0\n"]
    ear.reporter.flush()
    assert ear.heard == ["0\n", "1\n2\n3\n4\n"]


def test_what_was_held_back_is_told_soon_though_the_step_says_nothing_more() -> None:
    ear = Ear()
    ear.clock.advance(1)
    ear.reporter.report(None, "", "first\n")
    ear.reporter.report(None, "", "second\n")
    ear.reporter.check()
    assert ear.heard == ["first\n"]
    ear.clock.advance(REPORT_SECONDS)
    ear.reporter.check()
    ear.reporter.check()
    assert ear.heard == ["first\n", "second\n"]


def test_a_step_whose_claim_is_lost_says_nothing_more() -> None:
    ear = Ear()
    ear.clock.advance(1)
    ear.reporter.report(None, "", "first\n")
    ear.reporter.report(None, "", "second\n")
    ear.running.lost = True
    ear.clock.advance(REPORT_SECONDS)
    with pytest.raises(StaleEpoch):
        ear.reporter.check()
    assert ear.heard == ["first\n"]
