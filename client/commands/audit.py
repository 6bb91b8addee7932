"""`dtrove audit`: who did what."""

from __future__ import annotations

from typing import Annotated

import typer

from client.arguments import Json
from client.http import Api
from client.terminal import Column, show_list

COLUMNS = (Column("at"), Column("user", cut=True), Column("address"), Column("status"), Column("action", cut=True),
           Column("subject"))  # fmt: skip
MOST = 100


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit")(show_audit)


def show_audit(
    project: Annotated[str | None, typer.Option(help="Only what was done in this project, by its id.")] = None,
    request: Annotated[
        str | None, typer.Option(help="Only what was done in the request with this X-Request-ID.")
    ] = None,
    last: Annotated[int, typer.Option(help="So many lines.", min=1, max=MOST)] = 30,
    as_json: Json = False,
) -> None:
    """Who changed what, from where, and how it ended; newest first. Needs an administrator's token."""
    given = {"project": project, "request": request, "limit": last}
    params = {name: value for name, value in given.items() if value}
    show_list(Api().get("/v1/audit", **params)["audit"], as_json, COLUMNS, "nothing has been done yet")
