"""`dtrove event`: what happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import requests
import typer

from client.arguments import Json
from client.exits import Exit
from client.http import Api, ApiError
from client.terminal import cell, out, print_json

app = typer.Typer(no_args_is_help=True)
LOST_SECONDS = 120.0
# What says most of an event, in this order.
TELLING = ("name", "cluster_id", "instance_id", "problem.message")


@app.callback()
def events() -> None:
    """What happens to the project's clusters."""


@app.command()
def tail(
    since: Annotated[
        str, typer.Option(help="The id of an event: begin after it. 0: from the first one there is.")
    ] = "0",
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Go on as more happens.")] = True,
    as_json: Json = False,
) -> None:
    """Print the project's events as they happen; after a drop of the line it goes on where it was.

    With --json each event is one JSON object on a line.
    """
    api = Api()
    try:
        for event in _follow(api, since) if follow else _past(api, since):
            print_json(event) if as_json else _print(event)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.INTERRUPTED) from None


def _past(api: Api, since: str) -> Iterator[dict[str, Any]]:
    yield from api.all("/v1/events", "events", since=since, limit=100)


def _follow(api: Api, since: str) -> Iterator[dict[str, Any]]:
    last, lost_since = since, 0.0
    while True:
        try:
            for happening in api.follow("/v1/events", after=last):
                last, lost_since = happening.id, 0.0
                yield happening.data
        except (requests.RequestException, ApiError) as error:
            if isinstance(error, ApiError) and error.exit_code != Exit.UNAVAILABLE:
                raise
            lost_since = lost_since or time.monotonic()
            if time.monotonic() - lost_since > LOST_SECONDS:
                raise ApiError(f"the API has been away for {LOST_SECONDS:.0f} s", Exit.UNAVAILABLE) from error
            time.sleep(0.2)


def _print(event: dict[str, Any]) -> None:
    told = " ".join(filter(None, (cell(event["data"], path) for path in TELLING)))
    out().print(f"{event['occurred_at'][:19]}  {event['type']}  {told}", markup=False, soft_wrap=True)
