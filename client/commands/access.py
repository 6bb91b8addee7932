"""`dtrove token` and `dtrove project`: who may come in, and whose things are whose."""

from __future__ import annotations

from typing import Annotated

import typer

from client import names
from client.arguments import Json
from client.http import Api
from client.terminal import Column, print_json, show, show_list

tokens, projects = typer.Typer(no_args_is_help=True), typer.Typer(no_args_is_help=True)
TOKEN_COLUMNS = (Column("name", cut=True), Column("project", cut=True), Column("role"),
                 Column("revoked", "revoked_at", cut=True), Column("id"))  # fmt: skip


@tokens.command("list")
def list_tokens(as_json: Json = False) -> None:
    """All tokens, without what they open. Needs an administrator's token, as do the others here."""
    show_list(Api().all("/v1/tokens", "tokens"), as_json, TOKEN_COLUMNS, "there are no tokens")


@tokens.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="Whose it is, or what for.", metavar="NAME")],
    project: Annotated[str, typer.Option(help="Name or id of a project.")] = "default",
    role: Annotated[str, typer.Option(help="reader, member or admin.")] = "member",
    expires_at: Annotated[str | None, typer.Option(help="As in 2030-01-31T00:00:00Z; none: never.")] = None,
    as_json: Json = False,
) -> None:
    """Make a token; it is shown this once."""
    body = {"name": name, "project": project, "role": role, "expires_at": expires_at}
    show(Api().send("POST", "/v1/tokens", body)[0], as_json)


@tokens.command("revoke")
def revoke_token(
    token: Annotated[str, typer.Argument(help="Name or id of a token.", metavar="TOKEN")], as_json: Json = False
) -> None:
    """End a token at once."""
    api = Api()
    found = names.token(api, token)
    api.send("DELETE", f"/v1/tokens/{found['id']}")
    if as_json:
        print_json({"id": found["id"], "revoked": True})


@projects.command("list")
def list_projects(as_json: Json = False) -> None:
    """All projects."""
    found = Api().all("/v1/projects", "projects")
    show_list(found, as_json, (Column("name", cut=True), Column("id")), "there are no projects")


@projects.command("create")
def create_project(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.", metavar="NAME")],
    as_json: Json = False,
) -> None:
    """Make a project."""
    show(Api().send("POST", "/v1/projects", {"name": name})[0], as_json)
