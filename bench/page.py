"""Puts the figures of a run at the end of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.figures import Outcome
from bench.report import cells, number, verdict

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
HEADING = "## Last figures"
HELD = {True: "held", False: "**missed**", None: ""}


def record(outcomes: Mapping[str, Outcome], document: Mapping[str, Any], page: Path = PAGE) -> None:
    """Replace the page's last section by this run's figures."""
    kept = page.read_text().partition(HEADING)[0].rstrip()
    page.write_text(f"{kept}\n\n{HEADING}\n\n" + "\n".join(_section(outcomes, document)) + "\n")


def _section(outcomes: Mapping[str, Outcome], document: Mapping[str, Any]) -> Iterator[str]:
    machine = document["machine"]
    yield (
        f"`python -m bench {' '.join(outcomes)}` at {document['commit'] or 'no commit'}, {document['began_at'][:16]} UTC: "
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_mb']} MB, {machine['system']}, kernel "
        f"{machine['kernel']}, Python {machine['python']}."
    )
    busy = [f"`{part}` {outcome.facts['machine_busy_before_percent']:.0f} %" for part, outcome in outcomes.items()]
    yield f"Busy with other work just before each part: {', '.join(busy)}."
    yield f"{verdict(outcomes).capitalize()}."
    yield ""
    yield "| part | what | figure | baseline | ratio | target | |"
    yield "|---|---|--:|---|--:|---|---|"
    for part, outcome in outcomes.items():
        for line in outcome.lines:
            yield f"| {part} | {' | '.join(cells(line)[:-1])} | {HELD[line.held]} |"
    for outcome in outcomes.values():
        for breakdown in outcome.breakdowns:
            yield ""
            yield f"{breakdown.title[0].upper()}{breakdown.title[1:]}:"
            yield ""
            yield f"| {' | '.join(breakdown.columns)} |"
            yield "|---" + "|--:" * (len(breakdown.columns) - 1) + "|"
            for row in breakdown.rows:
                yield f"| {' | '.join(one.strip() if isinstance(one, str) else number(one) for one in row)} |"
