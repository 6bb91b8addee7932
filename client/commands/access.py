"""`dtrove token` and `dtrove project`: who may come in, and whose things are whose, here and in the cloud."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from client import names
from client.arguments import Json
from client.http import Api
from client.terminal import Column, print_json, show, show_list

# A limit that is not named stays as it is.
Limit = Annotated[int | None, typer.Option(help="The new limit; -1 for none.", min=-1)]
Project = Annotated[str, typer.Argument(help="Name or id of a project.", metavar="PROJECT")]
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


@projects.command()
def quota(
    project: Project,
    clusters: Limit = None,
    instances: Limit = None,
    volume_gb: Limit = None,
    backups: Limit = None,
    backup_gb: Limit = None,
    as_json: Json = False,
) -> None:
    """What a project may have and what it has; with options, change what it may."""
    api = Api()
    path = f"/v1/projects/{names.project(api, project)['id']}/quotas"
    found = api.get(path)
    given = {
        "clusters": clusters,
        "instances": instances,
        "volume_gb": volume_gb,
        "backups": backups,
        "backup_gb": backup_gb,
    }
    if changed := {name: None if limit < 0 else limit for name, limit in given.items() if limit is not None}:
        found = api.send("PUT", path, {**found["limits"], **changed})[0]
    show(found, as_json)


@projects.command()
def delegate(
    project: Project,
    application_credential: Annotated[str | None, typer.Option(help="Its id; the secret is asked for.")] = None,
    secret_file: Annotated[
        Path | None, typer.Option(help="File with the application credential's secret; - for standard input.")
    ] = None,
    trust: Annotated[str | None, typer.Option(help="The id of a trust whose trustee is DTrove's own user.")] = None,
    as_json: Json = False,
) -> None:
    """Lend DTrove a project of the cloud, so that the project's clusters are made there. It is tried at once.

    Needs an installation whose DTROVE_CLUSTERS_IN is `project`.
    """
    if (application_credential is None) == (trust is None):
        raise typer.BadParameter("give either --application-credential or --trust")
    api = Api()
    body: dict[str, str | None] = {"kind": "trust", "credential_id": trust}
    if application_credential is not None:
        secret = _secret(secret_file)
        body = {"kind": "application_credential", "credential_id": application_credential, "secret": secret}
    show(api.send("PUT", _delegation_of(api, project), body)[0], as_json)


@projects.command()
def delegation(project: Project, as_json: Json = False) -> None:
    """What a project has lent, without its secret."""
    api = Api()
    show(api.get(_delegation_of(api, project)), as_json)


@projects.command()
def withdraw(project: Project, as_json: Json = False) -> None:
    """Take back what a project has lent. Refused while clusters are there: nobody could delete them any more."""
    api = Api()
    path = _delegation_of(api, project)
    api.send("DELETE", path)
    if as_json:
        print_json({"project": project, "withdrawn": True})


def _delegation_of(api: Api, project: str) -> str:
    return f"/v1/projects/{names.project(api, project)['id']}/delegation"


def _secret(file: Path | None) -> str:
    """From a file, from standard input, or typed unseen: an argument could be read by everybody on this machine."""
    if file is None:
        return str(typer.prompt("secret", hide_input=True, err=True))
    return (sys.stdin.read() if str(file) == "-" else file.read_text()).strip()
