from __future__ import annotations

import io
import json
from datetime import UTC, datetime

from rich.console import Console

from bench import report
from bench.figures import Breakdown, Line, Outcome, at_most, ratio_at_least

HELD = Line("page of 20", 600.0, "1/s", 1000.0, "bare WSGI", ratio_at_least(0.6))
MISSED = Line("warm command", 7.25, "ms", 10.0, "ssh", at_most(6, "ms"))
TOLD = Line("messages", 28.3, "")
OUTCOMES = {"pages": Outcome((HELD, TOLD)), "ssh": Outcome((MISSED,), notes=("on loopback",))}
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def shown(outcomes: dict[str, Outcome], *broken: str) -> str:
    console = Console(file=io.StringIO(), width=190)
    report.show(outcomes, broken, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_shows_figure_baseline_ratio_target_and_verdict_of_each_line() -> None:
    rows = [[cell.strip() for cell in row.split("│")] for row in shown(OUTCOMES).splitlines()]
    assert ["pages", "page of 20", "600 1/s", "1,000 1/s (bare WSGI)", "0.60 ×", "≥ 0.6 ×", "held"] in rows
    assert ["ssh", "warm command", "7.25 ms", "10.0 ms (ssh)", "0.72 ×", "≤ 6 ms", "missed"] in rows
    assert ["pages", "messages", "28.3", "–", "–", "–", "–"] in rows


def test_missed_targets_are_named_under_the_table() -> None:
    assert "1 of 2 targets missed: warm command" in shown(OUTCOMES)
    assert "all 1 targets held" in shown({"pages": OUTCOMES["pages"]})


def test_a_broken_part_is_named_and_never_counts_as_held() -> None:
    assert "broken, so without a figure: ssh" in shown({"pages": OUTCOMES["pages"]}, "ssh")
    assert report.document({"pages": OUTCOMES["pages"]}, ["ssh"], BEGAN)["targets_held"] is False


def test_the_document_is_json_with_every_line_and_the_machine() -> None:
    document = json.loads(json.dumps(report.document(OUTCOMES, [], BEGAN)))
    assert document["targets_held"] is False
    assert document["machine"]["cores"] >= 1
    assert [line["what"] for line in document["parts"]["pages"]["lines"]] == ["page of 20", "messages"]
    assert document["parts"]["ssh"]["notes"] == ["on loopback"]


def test_a_breakdown_is_a_table_of_its_own_and_rows_by_name_in_the_document() -> None:
    split = Breakdown("where it goes", ("step", "DTrove"), (("connect", 0.123), ("in all", 12.3)))
    assert split.document() == {
        "title": "where it goes", "rows": [{"step": "connect", "DTrove": 0.123}, {"step": "in all", "DTrove": 12.3}],
    }  # fmt: skip
    text = shown({"create": Outcome((), (split,))})
    assert "where it goes" in text
    assert "12.3" in text
