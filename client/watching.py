"""Watches an operation to its end, and shows each step on standard error: on which host, how far, how long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import requests
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from client.exits import Exit
from client.http import SILENCE_SECONDS, Api, ApiError
from client.terminal import err, print_json

MARKS = {"succeeded": ("✓", "green"), "failed": ("✗", "red"), "cancelled": ("–", "yellow"), "waiting": ("…", "cyan"),
         "running": ("▸", "cyan"), "retrying": ("↻", "yellow")}  # fmt: skip
DONE = ("succeeded", "failed", "cancelled")
LOST_SECONDS = 120.0
HOST_WIDTH = 20


class Display(Protocol):
    """Shows an operation as it changes."""

    def show(self, operation: dict[str, Any]) -> None:
        """Show it as it stands now."""


def follow(api: Api, operation: str, timeout: float | None = None) -> dict[str, Any]:
    """Watch an operation; returns it once it has succeeded.

    A failed or cancelled one is explained and ends the command with 1. After `timeout` seconds, or on Ctrl-C, the
    command ends and the operation goes on.
    """
    ended = watch(api, operation, timeout)
    if ended["status"] != "succeeded":
        explain(ended)
        raise typer.Exit(Exit.FAILED)
    return ended


def follow_to(api: Api, path: str, operation: str, timeout: float | None, *, as_json: bool) -> dict[str, Any]:
    """Follow what makes the thing at `path`; returns that as it is then. As JSON it is printed also where the operation has failed."""
    try:
        follow(api, operation, timeout)
    except typer.Exit:
        if as_json:
            print_json(api.get(path))
        raise
    return dict(api.get(path))


def watch(api: Api, operation: str, timeout: float | None = None) -> dict[str, Any]:
    """Show an operation until it ends; returns it as it ended. Raises ApiError (6) after `timeout` seconds."""
    console = err()
    try:
        with _display(console) as display:
            for shown in changes(api, operation, timeout):
                display.show(shown)
        return shown
    except KeyboardInterrupt:
        console.print(f"stopped watching; the operation goes on. Come back with `dtrove operation watch {operation}`")
        raise typer.Exit(Exit.INTERRUPTED) from None


def changes(api: Api, operation: str, timeout: float | None = None) -> Iterator[dict[str, Any]]:
    """An operation each time it has changed, the last time at its end; a drop of the line is bridged.

    Raises ApiError: 6 after `timeout` seconds, 5 when the API stays away.
    """
    until = None if timeout is None else time.monotonic() + timeout
    lost_since = 0.0
    while True:
        try:
            for happening in api.follow(f"/v1/operations/{operation}", silence=_silence(until)):
                lost_since = 0.0
                yield happening.data
                if happening.data["status"] in DONE:
                    return
                _check(until, operation)
        except (requests.RequestException, ApiError) as error:
            if isinstance(error, ApiError) and error.exit_code != Exit.UNAVAILABLE:
                raise
            # The API may be restarting; the operation goes on meanwhile.
            lost_since = lost_since or time.monotonic()
            if time.monotonic() - lost_since > LOST_SECONDS:
                raise ApiError(f"the API has been away for {LOST_SECONDS:.0f} s", Exit.UNAVAILABLE) from error
            _check(until, operation)
            time.sleep(0.2)


def _silence(until: float | None) -> float:
    return SILENCE_SECONDS if until is None else max(0.05, min(SILENCE_SECONDS, until - time.monotonic()))


def _check(until: float | None, operation: str) -> None:
    if until is not None and time.monotonic() >= until:
        raise ApiError(
            f"the time is up; the operation goes on. Come back with `dtrove operation watch {operation}`", Exit.TIMEOUT
        )


@contextmanager
def _display(console: Console) -> Iterator[Display]:
    if not console.is_terminal:
        yield Lines(console)
        return
    steps = Steps()
    with Live(steps, console=console, refresh_per_second=8):
        yield steps


class Steps:
    """The steps as a table that moves. Rich draws it anew several times a second, so that times run on."""

    def __init__(self) -> None:
        self._operation: dict[str, Any] = {"status": "pending", "steps": []}

    def show(self, operation: dict[str, Any]) -> None:
        """Take in a change."""
        self._operation = operation

    def __rich__(self) -> Group | Text:
        if not self._operation["steps"]:
            return Text(self._operation["status"], style="dim")
        return Group(self._table(), Text(self._summary(), style="dim"))

    def _summary(self) -> str:
        percent = self._operation.get("percent")
        began = datetime.fromisoformat(self._operation["created_at"])
        ended = self._operation.get("finished_at")
        took = (datetime.fromisoformat(ended) if ended else datetime.now(UTC)) - began
        return f"{self._operation['status']}{'' if percent is None else f', {percent}%'}, {took.total_seconds():.1f}s"

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), expand=True)
        table.add_column(width=1)
        table.add_column(no_wrap=True, max_width=HOST_WIDTH, overflow="ellipsis")
        table.add_column(no_wrap=True, max_width=HOST_WIDTH, overflow="ellipsis", style="dim")
        table.add_column(no_wrap=True, justify="right", min_width=4)
        table.add_column(no_wrap=True, justify="right", min_width=6)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for step in self._operation["steps"]:
            mark, style = MARKS.get(step["status"], (" ", ""))
            percent = "" if step["percent"] in (None, 100) else f"{step['percent']}%"
            table.add_row(Text(mark, style=style), Text(step["step"]), Text(step["host"]), percent,
                          f"{seconds(step):.1f}s", Text(_one_line(step["message"])))  # fmt: skip
        return table


class Lines:
    """One line for each change of a step, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed: set[tuple[str, ...]] = set()

    def show(self, operation: dict[str, Any]) -> None:
        """Print what was not printed yet."""
        for step in operation["steps"]:
            key = (step["status"], step["step"], step["host"], step["message"])
            if key in self._printed:
                continue
            self._printed.add(key)
            percent = "" if step["percent"] in (None, 100) else f"  {step['percent']}%"
            message = f"  {_one_line(step['message'])}" if step["message"] else ""
            line = f"{step['status']:>9}  {step['step']}  {step['host']}{percent}  {seconds(step):.1f}s{message}"
            self._console.print(line, markup=False)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def seconds(step: dict[str, Any]) -> float:
    """How long a step took, or has taken so far."""
    began = datetime.fromisoformat(step["started_at"])
    ended = datetime.fromisoformat(step["finished_at"]) if step["finished_at"] else datetime.now(UTC)
    return max(0.0, (ended - began).total_seconds())


def explain(operation: dict[str, Any]) -> None:
    """Say why an operation did not succeed, and what to do."""
    console, problem = err(), operation.get("problem") or {}
    line = Text(operation["status"], style="red")
    console.print(line.append(f": {problem['message']}" if problem.get("message") else "", style="default"))
    for name in ("step", "host", "command", "stderr", "what_to_do"):
        if problem.get(name):
            text = str(problem[name]).strip().replace("\n", "\n    ")
            console.print(f"  {name.replace('_', ' ')}: {text}", markup=False)
    if operation["status"] == "failed":
        console.print(f"  more: dtrove operation transcript {operation['id']}", markup=False)
