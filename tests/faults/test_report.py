"""The report says what held, what did not, and what was never tried."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.faults import report


def told(row: int, outcome: str = "passed") -> str:
    return json.dumps(
        {"test": f"tests/test_{row}.py::it", "rows": [row], "outcome": outcome, "seconds": 1, "words": ""}
    )


def figure(row: int, held: bool | None = True) -> str:
    return json.dumps({"figure": {"row": row, "what": "took", "tried": 7, "figure": 11.28, "unit": "s", "target": "≤ 15 s",
                                  "baseline": None, "held": held}})  # fmt: skip


EVERY = [told(row) for row in report.FAULTS]


def test_a_row_without_a_test_did_not_hold() -> None:
    lines = report.measured(EVERY[1:])
    assert report.verdict(lines).endswith("not held: 1")
    assert report.verdict(report.measured(EVERY)) == f"all {len(report.FAULTS)} rows held"


@pytest.mark.parametrize("line", [told(3, "failed"), figure(3, held=False)])
def test_one_failed_test_or_one_missed_target_is_enough(line: str) -> None:
    assert "not held: 3" in report.verdict(report.measured([*EVERY, line]))


def test_a_figure_without_a_target_promises_nothing() -> None:
    assert "not held" not in report.verdict(report.measured([*EVERY, figure(3, held=None)]))


def test_tier_0_holds_without_a_breach_and_with_crashes_enough() -> None:
    figures = {"seconds": 200.0, "faults": 9000, "by_kind": {"kill": 9000}}
    good = {"seeds": 5000, "crashes": 3_500, "figures": figures, "failed": []}
    storms = {**good, "seeds": 800, "crashes": 10_000}
    assert [line.held for line in report.simulated(good, storms)] == [True, True]
    assert [line.held for line in report.simulated(good, {**storms, "crashes": 900})] == [True, False]
    assert [line.held for line in report.simulated(good, {**storms, "failed": [{"seed": 1}]})] == [True, False]
    assert [line.held for line in report.simulated({**good, "failed": [{"seed": 1}]}, storms)] == [False, False]


def test_calls_hold_without_server_errors_and_without_anything_revealed() -> None:
    good = {
        "calls": 20_000,
        "by_role": {"admin": 12_000, "none": 8_000},
        "wrong": {},
        "server_errors": 0,
        "troubles": [],
    }
    first, second = report.attacked(good)
    assert (first.tried, first.held, second.tried, second.held) == (20_000, True, 8_000, True)
    bad = {**good, "wrong": {"server error": 1, "revealed": 1}, "server_errors": 1}
    assert [line.held for line in report.attacked(bad)] == [False, False]


def test_the_table_shows_each_line_and_the_page_keeps_the_last_run_alone(tmp_path: Path) -> None:
    lines = report.measured([*EVERY, figure(1)])
    console = Console(file=io.StringIO(), width=220)
    report.show(lines, console)
    assert isinstance(console.file, io.StringIO)
    assert "11.3 s" in console.file.getvalue()
    page = tmp_path / "page.md"
    page.write_text(f"# Reliability\n\n{report.BEGIN}\nold\n{report.END}\n\nmore\n")
    for _ in range(2):
        report.record(lines, "`make faults`", page)
    text = page.read_text()
    assert "old" not in text
    assert (
        text.count("| 1 | a service is killed in the middle of any step | 7 | took | 11.3 s | ≤ 15 s | held | 1 |") == 1
    )
    assert text.startswith("# Reliability")
    assert text.endswith("more\n")


def test_rows_that_a_run_did_not_try_stay_with_the_run_that_did(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{report.BEGIN}\n{report.END}\n")
    report.record(report.measured([*EVERY[:-1], told(25, "failed"), figure(1)]), "the whole", page)
    report.record(report.measured([told(25), figure(25)], every=False), "one row again", page)
    text = page.read_text()
    assert f"All {len(report.FAULTS)} rows held. Runs:\n\n1. the whole\n2. one row again\n" in text
    assert "| took | 11.3 s | ≤ 15 s | held | 1 |" in text
    assert [line for line in text.splitlines() if line.startswith("| 25 ")] == [
        f"| 25 | {report.FAULTS[25]} | 7 | took | 11.3 s | ≤ 15 s | held | 2 |",
        f"| 25 | {report.FAULTS[25]} | 1 | tests that passed | 1 | 1 | held | 2 |",
    ]


def test_a_page_without_a_place_for_the_table_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Reliability\n")
    with pytest.raises(ValueError, match="no place"):
        report.record(report.measured(EVERY), "`make faults`", page)
