"""Runs the benchmark: `python -m bench [NAME...] [--json FILE] [--record]`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from rich.console import Console

from bench import page, report
from bench.figures import Outcome
from bench.installation import Broken
from bench.parts import BY_NAME, EVERY, PARTS
from bench.processes import others_busy

NOISY_PERCENT = 15.0


def main() -> int:
    """Measure, print the table and the document; 0 also where a target is missed, 1 where there is no figure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="NAME",
        help=f"what to measure: {', '.join(PARTS)}, all by default; or {', '.join(BY_NAME)}",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON document to a file as well")
    parser.add_argument("--record", action="store_true", help="put the figures into docs/benchmarks.md")
    asked = parser.parse_args()
    if unknown := [name for name in asked.parts if name not in EVERY]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(EVERY)}")
    signal.signal(signal.SIGTERM, _interrupted)
    progress = Console(stderr=True)
    began = datetime.now(UTC)
    outcomes: dict[str, Outcome] = {}
    broken: list[str] = []
    try:
        for name in [name for name in EVERY if name in (asked.parts or PARTS)]:
            try:
                outcomes[name] = _measure(name, progress)
            except Broken as error:
                broken.append(name)
                progress.print(f"{name} is broken: {error}", style="red", markup=False, highlight=False)
    except KeyboardInterrupt:
        progress.print("interrupted; everything that was started is gone", style="red")
        return 130
    console = Console(width=None if sys.stdout.isatty() else 190)
    report.show(outcomes, broken, console)
    document = report.document(outcomes, broken, began)
    text = json.dumps(document)
    print(text)
    if asked.json:
        asked.json.write_text(text + "\n")
    if asked.record and not broken:
        page.record(outcomes, document)
    return 1 if broken else 0


def _measure(name: str, progress: Console) -> Outcome:
    busy, start = others_busy(), time.monotonic()

    def say(words: str) -> None:
        progress.print(f"[dim]{time.monotonic() - start:6.1f} s[/]  {name}: {words}", highlight=False)

    outcome = EVERY[name](say)
    load = os.getloadavg()[0]
    facts = {"machine_busy_before_percent": round(busy, 1), "load_after": round(load, 2), **outcome.facts}
    notes = outcome.notes
    if busy > NOISY_PERCENT:
        notes += (
            f"{name}: other work kept {busy:.0f} % of the machine busy before it began, so its figures are noisy",
        )
    return Outcome(outcome.lines, outcome.breakdowns, notes, facts)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
