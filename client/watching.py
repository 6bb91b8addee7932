"""Watches an operation to its end, and shows each step: on which host, how far, how long."""

from __future__ import annotations

import time
from typing import Any

import requests
from rich.console import Console
from rich.live import Live
from rich.table import Table

from client.http import Api, ApiError

MARKS = {"succeeded": "[green]✓[/]", "failed": "[red]✗[/]", "cancelled": "[yellow]–[/]", "waiting": "…", "running": "▸",
         "retrying": "[yellow]↻[/]"}  # fmt: skip
DONE = ("succeeded", "failed", "cancelled")
LOST_SECONDS = 120.0


def watch(api: Api, operation: str, console: Console) -> dict[str, Any]:
    """Show an operation until it ends; returns it. Ctrl-C leaves it running."""
    shown: dict[str, Any] = {"status": "pending", "steps": []}
    printed: set[str] = set()
    lost_since = 0.0
    live = Live(console=console, refresh_per_second=8, transient=False) if console.is_terminal else None
    if live:
        live.start()
    try:
        while True:
            try:
                for shown in api.follow(f"/v1/operations/{operation}"):
                    lost_since = 0.0
                    if live:
                        live.update(_table(shown))
                    else:
                        _print_changes(shown, printed, console)
                if shown["status"] in DONE:
                    return shown
            except (requests.RequestException, ApiError) as error:
                if isinstance(error, ApiError) and error.exit_code != 5:
                    raise
                # The API may be restarting; the operation goes on meanwhile.
                lost_since = lost_since or time.monotonic()
                if time.monotonic() - lost_since > LOST_SECONDS:
                    raise ApiError(f"the API has been away for {LOST_SECONDS:.0f} s", 5) from error
                time.sleep(0.5)
    finally:
        if live:
            live.stop()


def _table(operation: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    for step in operation["steps"]:
        percent = "" if step["percent"] in (None, 100) else f"{step['percent']} %"
        table.add_row(MARKS.get(step["status"], " "), step["step"], f"[dim]{step['host']}[/]", percent,
                      _elapsed(step), step["message"])  # fmt: skip
    return table


def _elapsed(step: dict[str, Any]) -> str:
    return f"{seconds(step):.1f} s"


def seconds(step: dict[str, Any]) -> float:
    """How long a step took, or has taken so far."""
    from datetime import UTC, datetime

    began = datetime.fromisoformat(step["started_at"])
    ended = datetime.fromisoformat(step["finished_at"]) if step["finished_at"] else datetime.now(UTC)
    return max(0.0, (ended - began).total_seconds())


def _print_changes(operation: dict[str, Any], printed: set[str], console: Console) -> None:
    for step in operation["steps"]:
        line = f"{step['status']:>9}  {step['step']}  {step['host']}  {step['message']}"
        if line not in printed:
            printed.add(line)
            console.print(line, highlight=False, markup=False)


def explain(operation: dict[str, Any], console: Console) -> None:
    """Say why an operation failed, and what to do."""
    problem = operation.get("problem") or {}
    console.print(f"[red]{operation['status']}[/]: {problem.get('message', '')}", highlight=False)
    for name in ("step", "host", "command", "stderr", "what_to_do"):
        if problem.get(name):
            console.print(f"  {name.replace('_', ' ')}: {problem[name]}", highlight=False, markup=False)
