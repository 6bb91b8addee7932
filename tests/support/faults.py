"""How the fault suite counts and tells: how often a fault is tried, which row a test speaks of, what it measured.

`make test` runs every fault a few times; with DTROVE_FAULTS=long, as `make faults` sets it, as often as the report wants, or
the share of that which DTROVE_FAULTS_TIMES says (0.1: a tenth).
Where DTROVE_FAULTS_FIGURES names a file, each figure and the end of each marked test is a line of JSON there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.figures import Target, rounded

LONG = os.environ.get("DTROVE_FAULTS", "") == "long"
# Which part of the long version's number is wanted.
SHARE = float(os.environ.get("DTROVE_FAULTS_TIMES", "1"))
FIGURES = os.environ.get("DTROVE_FAULTS_FIGURES", "")


@dataclass(frozen=True)
class Figure:
    """What was measured of a fault's row: tried so many times, it came to `value` of `unit`, held against a target.

    A figure is judged by the report, not by the test that measured it: a busy machine is no broken DTrove.
    """

    row: int
    what: str
    tried: int
    value: float
    unit: str = ""
    target: Target | None = None
    baseline: float | None = None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        held = None if self.target is None else self.target.holds(self.value, self.baseline)
        return {
            "row": self.row, "what": self.what, "tried": self.tried, "figure": rounded(self.value), "unit": self.unit,
            "target": self.target.words if self.target else None, "baseline": rounded(self.baseline), "held": held,
        }  # fmt: skip


def exactly(number: float, unit: str = "") -> Target:
    """The figure is this number."""
    return Target(f"{number:,g} {unit}".strip(), lambda figure, _: figure == number)


@pytest.fixture(scope="session")
def times() -> Callable[[int, int], int]:
    """How often to try a fault: `times(short, long)`."""
    return lambda short, long: max(short, round(long * SHARE)) if LONG else short


@pytest.fixture(scope="session")
def figure() -> Callable[..., None]:
    """Tell the report a figure; takes what Figure takes."""
    return lambda *values, **more: _tell({"figure": Figure(*values, **more).document()})


def pytest_configure(config: pytest.Config) -> None:
    """The mark that ties a test to rows of the table of faults."""
    config.addinivalue_line(
        "markers", "fault(row, ...): shows what holds after faults of these rows; `make faults` runs it"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Tell the report how a marked test ended."""
    report = yield
    marks = list(item.iter_markers("fault"))
    if marks and (report.when == "call" or report.outcome != "passed"):
        rows = sorted({row for mark in marks for row in mark.args})
        _tell({"test": item.nodeid, "rows": rows, "outcome": report.outcome, "seconds": round(report.duration, 2),
               "words": str(report.longreprtext)[-2000:] if report.failed else ""})  # fmt: skip
    return report


def _tell(line: dict[str, Any]) -> None:
    if FIGURES:
        with Path(FIGURES).open("a") as file:
            file.write(json.dumps(line) + "\n")
