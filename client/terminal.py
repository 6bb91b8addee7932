"""How things are shown: tables that fit a terminal and never wrap in a pipe, facts, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

# What reads a pipe wants whole lines.
PIPE_WIDTH = 10_000
CUT_WIDTH, GAP = 8, 2


@dataclass(frozen=True)
class Column:
    """A column: its title, the dotted path of its value, and whether it may be cut where the terminal is narrow."""

    title: str
    path: str = ""
    cut: bool = False


def out() -> Console:
    """Standard output: results, and nothing else."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error: progress, warnings, errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    typer.echo(json.dumps(value))


def show(value: dict[str, Any], as_json: bool) -> None:
    """Print one thing: as JSON, or a fact a line."""
    if as_json:
        print_json(value)
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in _facts(value):
        table.add_row(label, Text(text))
    out().print(table)


def show_list(items: Sequence[dict[str, Any]], as_json: bool, columns: Sequence[Column], empty: str) -> None:
    """Print things: as a JSON list, or as a table; `empty` says on standard error that there are none."""
    if as_json:
        print_json(list(items))
        return
    if not items:
        err().print(empty)
        return
    rows = [[cell(item, column.path or column.title) for column in columns] for item in items]
    console = out()
    console.print(table(columns, rows, console.width))


def table(columns: Sequence[Column], rows: list[list[str]], width: int) -> Table:
    """A table in which only the columns that may be cut give way to a narrow terminal."""
    made = Table(box=None, header_style="bold", padding=(0, GAP, 0, 0), pad_edge=False)
    for column, room in zip(columns, _widths(columns, rows, width), strict=True):
        made.add_column(column.title, no_wrap=True, overflow="ellipsis", width=room)
    for row in rows:
        made.add_row(*map(Text, row))
    return made


def _widths(columns: Sequence[Column], rows: list[list[str]], width: int) -> list[int]:
    wanted = [max(map(cell_len, (column.title, *cells))) for column, *cells in zip(columns, *rows, strict=True)]
    least = [min(one, CUT_WIDTH) if column.cut else one for column, one in zip(columns, wanted, strict=True)]
    spare = width - sum(least) - GAP * (len(columns) - 1)
    # What is left over goes to the columns that may be cut, from left to right.
    for number, one in enumerate(wanted):
        more = max(0, min(spare, one - least[number]))
        least[number] += more
        spare -= more
    return least


def cell(item: dict[str, Any], path: str) -> str:
    """The value at a dotted path, as text on one line."""
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return _text(value).replace("\n", " ")


def age(moment: str) -> str:
    """How long ago a moment was, as in 5m."""
    return span((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def ahead(moment: str) -> str:
    """How far off a moment is, as in `in 5h`."""
    return f"in {span((datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds())}"


def span(seconds: float) -> str:
    """A length of time, as in 5m."""
    whole = int(seconds)
    for length, letter in ((86_400, "d"), (3600, "h"), (60, "m")):
        if whole >= 2 * length:
            return f"{whole // length}{letter}"
    return f"{max(0, whole)}s"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        return " ".join(_text(one) for one in value.values() if one not in (None, "", [], {}))
    return str(value)


def _facts(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, one in value.items():
        label = prefix + name.replace("_", " ")
        if isinstance(one, dict):
            yield from _facts(one, f"{label} ")
        elif isinstance(one, list) and one and isinstance(one[0], dict):
            for number, item in enumerate(one):
                yield (label if number == 0 else "", _text(item))
        elif one not in (None, "", [], {}):
            yield label, _text(one)
