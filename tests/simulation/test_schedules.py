"""Thousands of seeded schedules of faults, each of which must leave every invariant whole; and a suite that can fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.simulation.breaks import BREAKS, UNREMINDED
from tests.simulation.chance import STORMS

pytestmark = pytest.mark.slow
# `make faults` has more of them.
SEEDS = int(os.environ.get("DTROVE_SIMULATION_SEEDS", "1500"))
SECONDS = 1800
# So many schedules a break may go unnoticed at most.
TO_CATCH = 800


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.simulation", *arguments], capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip


def report_of(*arguments: str) -> dict[str, Any]:
    done = simulate("--json", *arguments)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(SECONDS)
def test_every_schedule_leaves_every_invariant_whole() -> None:
    report = report_of("--seeds", str(SEEDS))
    assert report["failed"] == [], "replay: python -m tests.simulation --seed N"
    assert report["seeds"] == SEEDS
    assert report["crashes"] > SEEDS / 10


@pytest.mark.timeout(SECONDS)
def test_nothing_is_doubled_or_lost_where_processes_die_while_they_mend_what_the_last_death_left() -> None:
    report = report_of("--seeds", str(SEEDS // 30), "--first", str(STORMS))
    assert report["failed"] == []
    assert report["crashes"] > SEEDS / 5


@pytest.mark.timeout(SECONDS)
def test_nothing_depends_on_reminders_as_long_as_the_broker_loses_nothing() -> None:
    report = report_of("--seeds", str(SEEDS // 5), "--first", "100000", "--broken", UNREMINDED)
    assert report["failed"] == []


def test_a_seed_is_replayed_exactly() -> None:
    first, second = simulate("--seed", "7"), simulate("--seed", "7")
    assert first.stdout == second.stdout
    assert first.stdout != simulate("--seed", "8").stdout


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("name", BREAKS)
def test_a_deliberate_break_is_noticed(name: str) -> None:
    report = report_of("--seeds", str(TO_CATCH), "--until-failure", "--broken", name)
    assert report["failed"], f"nobody noticed: {name}"
