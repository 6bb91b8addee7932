"""Prints an instance's log as it comes, and goes on where it stopped when the line drops."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from typing import Any

import requests
import typer

from client.exits import Exit
from client.http import Api, ApiError
from client.terminal import err

LOST_SECONDS, PAUSE_SECONDS = 120.0, 0.5
# So many ends with a reason, and no line between them: it will not get better.
_ENDS = 3


def follow(api: Api, instance: str, lines: int, *, as_json: bool) -> None:
    """Print what is there, and then what comes, until Ctrl-C. Raises ApiError where it cannot be read any more."""
    place, wanted, lost_since, ended = "", lines, 0.0, 0
    while True:
        try:
            for happening in api.follow(f"/v1/instances/{instance}/logs", after=place, lines=wanted):
                lost_since = 0.0
                if happening.id:
                    place, wanted = happening.id, 0
                problem = _print(happening.data, as_json=as_json)
                ended = 0 if "lines" in happening.data else ended
                if problem is not None:
                    ended += 1
                    _check_end(problem, ended)
        except (requests.RequestException, ApiError) as error:
            if isinstance(error, ApiError) and error.exit_code != Exit.UNAVAILABLE:
                raise
            lost_since = lost_since or time.monotonic()
            if time.monotonic() - lost_since > LOST_SECONDS:
                raise ApiError(f"the API has been away for {LOST_SECONDS:.0f} s", Exit.UNAVAILABLE) from error
        time.sleep(PAUSE_SECONDS)


def show(answer: dict[str, Any], *, as_json: bool) -> None:
    """Print the last lines."""
    if as_json:
        typer.echo(json.dumps(answer))
        return
    _echo(answer["lines"])
    for note in answer["notes"]:
        err().print(note, style="yellow", markup=False)


def _print(data: dict[str, Any], *, as_json: bool) -> dict[str, Any] | None:
    """Print one message of the stream; returns why it ends, where it does."""
    if as_json:
        typer.echo(json.dumps(data))
    elif "lines" in data:
        _echo(data["lines"])
    elif "message" in data:
        err().print(data["message"], style="yellow", markup=False)
    return data.get("problem")


def _check_end(problem: dict[str, Any], ended: int) -> None:
    if ended >= _ENDS:
        raise ApiError(f"the log can be read no more: {problem['message']}\n{problem['what_to_do']}", Exit.FAILED)


def _echo(lines: Iterable[str]) -> None:
    # A terminal takes orders from what it shows, and anybody may write into a log.
    plain = sys.stdout.isatty()
    for line in lines:
        typer.echo(_harmless(line) if plain else line)


def _harmless(line: str) -> str:
    return "".join(sign if sign.isprintable() or sign == "\t" else f"\\x{ord(sign):02x}" for sign in line)
