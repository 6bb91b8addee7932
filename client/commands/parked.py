"""`dtrove parked`: messages that no service could take in."""

from __future__ import annotations

from typing import Annotated

import typer

from client.arguments import Json, Yes
from client.http import Api
from client.terminal import Column, err, print_json, show_list

app = typer.Typer(no_args_is_help=True)
COLUMNS = (Column("service", cut=True), Column("topic", cut=True), Column("reason", cut=True), Column("id"))
MessageId = Annotated[str, typer.Argument(help="Id of a parked message.", metavar="MESSAGE")]


@app.command("list")
def list_parked(
    service: Annotated[str | None, typer.Option(help="Only what this service was to have.")] = None,
    as_json: Json = False,
) -> None:
    """Messages that were refused or failed too often, and why. Needs an administrator's token."""
    params = {"service": service} if service else {}
    show_list(Api().all("/v1/parked", "parked", **params), as_json, COLUMNS, "nothing is parked")


@app.command()
def replay(message: MessageId, as_json: Json = False) -> None:
    """Send a message to its queue once more, after its cause was mended."""
    Api().send("POST", f"/v1/parked/{message}/replay")
    err().print("sent; should it fail again, it comes back here")
    if as_json:
        print_json({"id": message, "replayed": True})


@app.command()
def drop(message: MessageId, yes: Yes = False, as_json: Json = False) -> None:
    """Forget a message for good."""
    if not yes:
        typer.confirm("Forget this message for good?", abort=True, err=True)
    Api().send("DELETE", f"/v1/parked/{message}")
    if as_json:
        print_json({"id": message, "dropped": True})
