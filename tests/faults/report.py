"""What the fault suite found, as a table: fault, times tried, figure, target, held or not; and its place in the documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.report import number

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
CRASHES_WANTED, CALLS_WANTED = 10_000, 20_000
# The rows of the table of faults that are tried on real parts, and on the whole API.
FAULTS = {
    1: "a service is killed in the middle of any step",
    2: "a worker stands still for longer than its lease",
    3: "SSH is cut, or falls silent, at any byte of a long job",
    4: "a host reboots during a detached job",
    5: "sshd restarts, or turns callers away",
    6: "30 % of the hosts accept and never answer",
    7: "a host shows another key",
    8: "RabbitMQ restarts, queues are purged",
    9: "an event comes 2 to 5 times, out of order",
    10: "the database is gone, silent, or keeps a COMMIT's outcome to itself",
    11: "the provider answers 500, 429, late, ERROR, or has no quota",
    12: "a server never comes up",
    13: "apt is locked, its mirror is down, a package is half configured",
    14: "a disk is full",
    15: "kill -9 of the primary's engine",
    16: "the primary's server goes off",
    17: "only the way from DTrove to the primary is cut",
    18: "the primary is cut off from everybody",
    19: "DTrove is killed between fence, promotion and endpoint",
    20: "configuration that prevents a start",
    21: "an object store is busy, slow, away or refuses, in mid-backup",
    22: "a kept backup is corrupt or incomplete, or its key is another",
    23: "an operation is cancelled at any step",
    24: "bad input of every kind",
    25: "another project's token, a revoked one, or none",
}
COLUMNS = 8
WORDS = {True: "held", False: "**not held**", None: ""}


@dataclass(frozen=True)
class Line:
    """One line of the table. `row` is the fault's number, or a tier's name; `held` is None where nothing is promised."""

    row: str
    fault: str
    tried: int
    what: str
    figure: str
    target: str
    held: bool | None

    @property
    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        return (self.row, self.fault, f"{self.tried:,}", self.what, self.figure, self.target, WORDS[self.held])


def simulated(told: dict[str, Any], storms: dict[str, Any]) -> list[Line]:
    """The lines of tier 0, from what `python -m tests.simulation --json` told of common runs and of storms."""
    figures = told["figures"]
    runs = (
        f"schedules with {figures['faults']:,} faults of {len(figures['by_kind'])} kinds, in {figures['seconds']:.0f} s"
    )
    deaths = told["crashes"] + storms["crashes"]
    dying = f"schedules ({storms['seeds']:,} more, with death upon death, in {storms['figures']['seconds']:.0f} s)"
    broken, broken_at_all = len(told["failed"]), len(told["failed"]) + len(storms["failed"])
    return [
        Line("0", "any of these, simulated", told["seeds"], f"{runs}; broken", number(broken), "0", held=broken == 0),
        Line("0", "a process dies at any line, simulated", deaths, f"{dying} with something doubled or lost",
             number(broken_at_all), f"0 in {CRASHES_WANTED:,}", held=broken_at_all == 0 and deaths >= CRASHES_WANTED),
    ]  # fmt: skip


def measured(lines: Iterable[str], *, every: bool = True) -> list[Line]:
    """The lines of tier 1, from what the tests wrote: each row's figures, then how many of its tests passed.

    `every`: a row that no test has tried did not hold.
    """
    told = [json.loads(line) for line in lines if line.strip()]
    figures = [one["figure"] for one in told if "figure" in one]
    tests = [one for one in told if "test" in one]
    found = []
    for row in sorted(FAULTS):
        found += [_figure(one) for one in figures if one["row"] == row]
        ours = [one for one in tests if row in one["rows"]]
        passed = sum(one["outcome"] == "passed" for one in ours)
        if ours or (every and row not in (24, 25)):
            found.append(Line(str(row), FAULTS[row], len(ours), "tests that passed", str(passed), str(len(ours)),
                              held=bool(ours) and passed == len(ours)))  # fmt: skip
    return found


def attacked(told: dict[str, Any]) -> list[Line]:
    """The lines of rows 24 and 25, from what `python -m tests.security.calls --json` told."""
    calls, enough = int(told["calls"]), told["calls"] >= CALLS_WANTED
    strangers = sum(count for role, count in told["by_role"].items() if role not in ("admin", "member", "reader"))
    others = sum(count for kind, count in told["wrong"].items() if kind != "server error") + len(told["troubles"])
    return [
        Line("24", FAULTS[24], calls, "server errors", number(told["server_errors"]), f"0 in {CALLS_WANTED:,}",
             held=told["server_errors"] == 0 and enough),
        Line("25", FAULTS[25], strangers, "answers that reveal, let in, or are no problem document; errors in a log",
             number(others), "0", held=others == 0),
    ]  # fmt: skip


def show(lines: Sequence[Line], console: Console) -> None:
    """Print the table and the verdict."""
    table = Table(header_style="bold", show_edge=False, pad_edge=False)
    for name in ("row", "fault", "tried", "what", "figure", "target", "held"):
        table.add_column(name, justify="right" if name in ("row", "tried", "figure") else "left")
    for line in lines:
        *cells, _ = line.cells
        colour = {True: "[green]held[/]", False: "[bold red]not held[/]", None: "–"}[line.held]
        table.add_row(*(one.replace("[", "\\[") for one in cells), colour)
    console.print(table)
    console.print()
    console.print(verdict(lines), highlight=False)


def verdict(lines: Sequence[Line]) -> str:
    """One sentence."""
    rows = {line.row for line in lines}
    wrong = sorted({line.row for line in lines if line.held is False}, key=int)
    if not wrong:
        return f"all {len(rows)} rows held"
    return f"{len(rows) - len(wrong)} of {len(rows)} rows held; not held: {', '.join(wrong)}"


def record(lines: Sequence[Line], heading: str, page: Path = PAGE) -> None:
    """Put this run's rows into the table between the page's two marks; rows that it did not try stay, with their own run."""
    text = page.read_text()
    found = re.search(f"{re.escape(BEGIN)}(.*){re.escape(END)}", text, flags=re.DOTALL)
    if found is None:
        raise ValueError(f"{page} has no place for the table: it wants {BEGIN} and {END}")
    tried = {line.row for line in lines}
    kept = [(line, run) for line, run in _recorded(found[1]) if line.row not in tried]
    # A stable sort: what a run told of a row stays in its order.
    every = sorted([*kept, *((line, heading) for line in lines)], key=lambda one: int(one[0].row))
    section = "\n".join([BEGIN, "", *_section(every), "", END])
    page.write_text(text[: found.start()] + section + text[found.end() :])


def _section(lines: Sequence[tuple[Line, str]]) -> Iterator[str]:
    runs = list(dict.fromkeys(run for _, run in lines))
    sentence = verdict([line for line, _ in lines])
    yield f"{sentence[0].upper()}{sentence[1:]}. Runs:"
    yield ""
    yield from (f"{number}. {run}" for number, run in enumerate(runs, 1))
    yield ""
    yield "| row | fault | tried | what | figure | target | | run |"
    yield "|--:|---|--:|---|--:|---|---|--:|"
    for line, run in lines:
        cells = [cell.replace("|", "/") for cell in line.cells]
        yield f"| {' | '.join(cells)} | {runs.index(run) + 1} |"


def _recorded(section: str) -> Iterator[tuple[Line, str]]:
    """The lines of a section that `record` wrote, each with the heading of its run."""
    runs = dict(re.findall(r"^(\d+)\. (.+)$", section, flags=re.MULTILINE))
    verdicts = {words: held for held, words in WORDS.items()}
    for text in section.splitlines():
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        if len(cells) == COLUMNS and cells[0].isdigit():
            row, fault, times, what, figure, target, held, run = cells
            yield Line(row, fault, int(times.replace(",", "")), what, figure, target, verdicts[held]), runs[run]


def _figure(told: dict[str, Any]) -> Line:
    unit = f" {told['unit']}" if told["unit"] else ""
    beside = "" if told["baseline"] is None else f" ({number(told['baseline'])}{unit} without)"
    return Line(str(told["row"]), FAULTS[told["row"]], told["tried"], told["what"],
                f"{number(told['figure'])}{unit}{beside}", told["target"] or "–", told["held"])  # fmt: skip
