"""How things are shown: tables that fit a terminal and never wrap in a pipe, facts, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

# What reads a pipe wants whole lines.
PIPE_WIDTH = 10_000


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
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
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
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.title, no_wrap=True, overflow="ellipsis" if column.cut else "fold",
                         min_width=6 if column.cut else None)  # fmt: skip
    for item in items:
        table.add_row(*(Text(cell(item, column.path or column.title)) for column in columns))
    out().print(table)


def cell(item: dict[str, Any], path: str) -> str:
    """The value at a dotted path, as text on one line."""
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return _text(value).replace("\n", " ")


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
