"""`dtrove console`: a link that signs a browser in."""

from __future__ import annotations

import typer

from client.arguments import Json
from client.http import Api
from client.terminal import print_json


def register(app: typer.Typer) -> None:
    """Add this command to the root."""
    app.command()(console)


def console(as_json: Json = False) -> None:
    """Print a link to the web console that signs in, once, within ten minutes, as the token that is used here."""
    link, expires_at = sign_in_link(Api())
    if as_json:
        print_json({"url": link, "expires_at": expires_at})
    else:
        typer.echo(link)


def sign_in_link(api: Api) -> tuple[str, str]:
    """A link that signs in once, and when it is good no more. Raises ApiError."""
    made, _ = api.send("POST", "/v1/session", {"once": True})
    return f"{api.url}/sign-in?code={made['token']}", made["expires_at"]
