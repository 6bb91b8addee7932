"""`dtrove datastore` and `dtrove flavor`: what can be chosen."""

from __future__ import annotations

from typing import Annotated

import typer

from client import names
from client.arguments import Json, Yes
from client.commands.parameters import pairs
from client.http import Api
from client.terminal import Column, print_json, show, show_list

datastores, flavors = typer.Typer(no_args_is_help=True), typer.Typer(no_args_is_help=True)
DATASTORE_COLUMNS = (Column("name"), Column("image"), Column("packages", cut=True), Column("id"))
FLAVOR_COLUMNS = (Column("name"), Column("vcpus"), Column("ram MB", "ram_mb"), Column("disk GB", "disk_gb"))
DatastoreName = Annotated[
    str, typer.Argument(help="Id, or as in `mysql 10.11`; `mysql` where there is one version.", metavar="DATASTORE")
]
Image = Annotated[str | None, typer.Option(help="What hosts are made from.")]
Parameters = Annotated[list[str] | None, typer.Option("--parameter", help="NAME=VALUE; may be given several times.")]


@datastores.command("list")
def list_datastores(as_json: Json = False) -> None:
    """What can be chosen."""
    show_list(Api().get("/v1/datastores")["datastores"], as_json, DATASTORE_COLUMNS, "there are no datastores")


@datastores.command("show")
def show_datastore(datastore: DatastoreName, as_json: Json = False) -> None:
    """One datastore."""
    show(names.datastore(Api(), datastore), as_json)


@datastores.command("create")
def create_datastore(
    manager: Annotated[str, typer.Argument(help="A name of DTROVE_DATASTORE_MANAGERS, or the dotted path of a class.")],
    version: Annotated[str, typer.Argument(help="As users will name it, as in `10.11`.")],
    packages: Annotated[list[str], typer.Argument(help="What is installed on a host.")],
    image: Image = "debian-12",
    parameter: Parameters = None,
    as_json: Json = False,
) -> None:
    """Add a version; from then on it can be chosen. Needs an administrator's token."""
    body = {"manager": manager, "version": version, "packages": packages, "image": image,
            "default_parameters": pairs(parameter or [])}  # fmt: skip
    show(Api().send("POST", "/v1/datastores", body)[0], as_json)


@datastores.command("update")
def update_datastore(
    datastore: DatastoreName,
    image: Image = None,
    package: Annotated[
        list[str] | None, typer.Option(help="In place of all packages; may be given several times.")
    ] = None,
    parameter: Parameters = None,
    as_json: Json = False,
) -> None:
    """Change image, packages or default parameters; clusters that exist stay as they are."""
    wanted = {"image": image, "packages": package, "default_parameters": pairs(parameter) if parameter else None}
    changes = {name: value for name, value in wanted.items() if value}
    if not changes:
        raise typer.BadParameter("say what to change: --image, --package or --parameter")
    api = Api()
    show(api.send("PATCH", f"/v1/datastores/{names.datastore(api, datastore)['id']}", changes)[0], as_json)


@datastores.command("delete")
def delete_datastore(datastore: DatastoreName, yes: Yes = False, as_json: Json = False) -> None:
    """Take a version out of the choice; clusters made with it go on."""
    api = Api()
    found = names.datastore(api, datastore)
    if not yes:
        typer.confirm(f"Take {found['name']} out of the choice?", abort=True, err=True)
    api.send("DELETE", f"/v1/datastores/{found['id']}")
    if as_json:
        print_json({"id": found["id"], "deleted": True})


@flavors.command("list")
def list_flavors(
    datastore: Annotated[str | None, typer.Option(help="Only those that are enough for this one.")] = None,
    as_json: Json = False,
) -> None:
    """What sizes there are."""
    params = {"datastore": datastore} if datastore else {}
    show_list(Api().get("/v1/flavors", **params)["flavors"], as_json, FLAVOR_COLUMNS, "there are no flavors")
