"""Thousands of seeded schedules of faults, each of which must leave every invariant whole; and a suite that can fail."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from typing import Any

import pytest

from tests.simulation.breaks import BREAKS, IN_PLACE, UNREMINDED
from tests.simulation.chance import STORMS

pytestmark = pytest.mark.slow
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


def schedules(seeds: int, *arguments: str) -> dict[str, Any]:
    """So many of a kind, or as many of them as twenty seconds let in: `make schedules` has run the common ones, all of them."""
    report = report_of("--seeds", str(seeds), "--seconds", "20", *arguments)
    assert report["failed"] == [], "replay: python -m tests.simulation --seed N"
    return report


@pytest.mark.timeout(SECONDS)
def test_nothing_is_doubled_or_lost_where_processes_die_while_they_mend_what_the_last_death_left() -> None:
    report = schedules(200, "--first", str(STORMS))
    assert report["crashes"] > 5 * report["seeds"]


@pytest.mark.timeout(SECONDS)
def test_nothing_depends_on_reminders_as_long_as_the_broker_loses_nothing() -> None:
    schedules(500, "--first", "100000", "--broken", UNREMINDED)


@pytest.mark.timeout(SECONDS)
def test_a_restore_in_place_never_loses_what_was_there_and_ends_with_one_or_the_other() -> None:
    schedules(25, "--first", "200000", "--broken", IN_PLACE)


def test_a_seed_is_replayed_exactly() -> None:
    first, second = simulate("--seed", "7"), simulate("--seed", "7")
    assert first.stdout == second.stdout
    assert first.stdout != simulate("--seed", "8").stdout


@pytest.fixture(scope="module")
def known() -> dict[str, bool]:
    """Which breaks the seeds notice that are known to."""
    return report_of("--known")


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("name", BREAKS)
def test_a_deliberate_break_is_noticed(name: str, known: dict[str, bool]) -> None:
    assert known[name] or search_for(name), f"nobody noticed: {name}"


def search_for(name: str) -> bool:
    """Whether any schedule notices a break. It says where, for the next run to begin there."""
    found = report_of("--seeds", str(TO_CATCH), "--until-failure", "--broken", name)["failed"]
    for one in found[:1]:
        warnings.warn(f"NOTICED has another seed by now: {name!r}: {one['seed']}", stacklevel=1)
    return bool(found)
