"""The commands, by noun."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

out = Console()


def show(value: Any, as_json: bool, columns: tuple[str, ...] = ()) -> None:
    """Print a thing or a list of things, as JSON or as a table of `columns`."""
    if as_json or not columns:
        typer.echo(json.dumps(value, indent=None if as_json else 2))
        return
    table = Table(*columns, box=None, header_style="bold")
    for item in value:
        table.add_row(*(_cell(item, column) for column in columns))
    out.print(table)


def _cell(item: dict[str, Any], column: str) -> str:
    value: Any = item
    for part in column.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
