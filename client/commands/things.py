"""Datastores, flavors, tokens, projects, events."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from client.commands import show
from client.http import Api

datastores, flavors, tokens, projects, events = (typer.Typer(no_args_is_help=True) for _ in range(5))
Json = Annotated[bool, typer.Option("--json", help="print JSON")]


@datastores.command("list")
def list_datastores(as_json: Json = False) -> None:
    """What can be chosen."""
    show(Api().get("/v1/datastores")["datastores"], as_json, ("name", "image", "packages", "id"))


@datastores.command("create")
def create_datastore(
    manager: str, version: str, packages: list[str], image: str = "debian-12", as_json: Json = False
) -> None:
    """Add a version; `manager` is a name of DTROVE_DATASTORE_MANAGERS or the dotted path of a class."""
    body = {"manager": manager, "version": version, "packages": packages, "image": image}
    show(Api().send("POST", "/v1/datastores", body)[0], as_json)


@flavors.command("list")
def list_flavors(datastore: Annotated[str | None, typer.Option()] = None, as_json: Json = False) -> None:
    """What sizes there are, for one datastore if it is named."""
    params = {"datastore": datastore} if datastore else {}
    show(Api().get("/v1/flavors", **params)["flavors"], as_json, ("name", "vcpus", "ram_mb", "disk_gb", "id"))


@tokens.command("list")
def list_tokens(as_json: Json = False) -> None:
    """All tokens, without what they open."""
    show(Api().get("/v1/tokens")["tokens"], as_json, ("name", "project", "role", "expires_at", "revoked_at", "id"))


@tokens.command("create")
def create_token(name: str, project: str = "default", role: str = "member", as_json: Json = False) -> None:
    """Make a token; it is shown this once."""
    show(Api().send("POST", "/v1/tokens", {"name": name, "project": project, "role": role})[0], as_json)


@tokens.command("revoke")
def revoke_token(token_id: str) -> None:
    """End a token at once."""
    Api().send("DELETE", f"/v1/tokens/{token_id}")


@projects.command("list")
def list_projects(as_json: Json = False) -> None:
    """All projects."""
    show(Api().get("/v1/projects")["projects"], as_json, ("name", "id"))


@projects.command("create")
def create_project(name: str, as_json: Json = False) -> None:
    """Make a project."""
    show(Api().send("POST", "/v1/projects", {"name": name})[0], as_json)


@events.command("tail")
def tail() -> None:
    """Print the project's events as they happen, one JSON object a line."""
    for event in Api().follow("/v1/events"):
        typer.echo(json.dumps(event))
