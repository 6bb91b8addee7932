"""`dtrove parameter-group`: parameters under a name, which several clusters share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from client import names
from client.arguments import Json, Plan, Timeout, Wait, Yes
from client.commands.parameters import Chosen, Restart, Set, Unset, pairs
from client.exits import Exit
from client.http import Api
from client.plans import show_plan
from client.terminal import Column, err, print_json, show, show_list
from client.watching import explain, watch

app = typer.Typer(no_args_is_help=True)
COLUMNS = (Column("name"), Column("datastore", "datastore.name"), Column("version"), Column("description", cut=True))
CLUSTERS = (Column("name"), Column("version"), Column("state"), Column("message", cut=True))
GroupName = Annotated[str, typer.Argument(help="Name or id of a parameter group.", metavar="GROUP")]
Description = Annotated[str | None, typer.Option(help="What it is for.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.", metavar="NAME")],
    datastore: Annotated[
        str, typer.Option(help="As in `pgsql 15`, or `pgsql` where there is one version; see `dtrove datastore list`.")
    ],
    description: Description = None,
    parameter: Chosen = None,
    as_json: Json = False,
) -> None:
    """Make a group; clusters are given it by `--parameter-group` when they are made, or by `dtrove cluster parameters --group`."""
    api = Api()
    body = {"name": name, "datastore": names.datastore_wish(api, datastore), "description": description or "",
            "parameters": pairs(parameter or [])}  # fmt: skip
    _show(api.send("POST", "/v1/parameter-groups", body)[0], as_json)


@app.command("list")
def list_groups(as_json: Json = False) -> None:
    """The project's groups, newest first."""
    found = Api().all("/v1/parameter-groups", "parameter_groups", limit=100)
    show_list(found, as_json, COLUMNS, "there are no parameter groups")


@app.command("show")
def show_group(group: GroupName, as_json: Json = False) -> None:
    """One group, and how the clusters that have it stand to it."""
    _show(names.parameter_group(Api(), group), as_json)


@app.command("set")
def set_parameters(
    group: GroupName,
    parameter: Set = None,
    unset: Unset = None,
    description: Description = None,
    restart: Restart = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Change a group, on every cluster that has it: those that cannot be changed now are shown as out of date."""
    changes: dict[str, str | None] = {**pairs(parameter or []), **dict.fromkeys(unset or [])}
    body = {"parameters": changes, **({} if description is None else {"description": description})}
    if not changes and description is None:
        raise typer.BadParameter("say what to change: --set, --unset or --description")
    _change(group, body, restart, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@app.command()
def apply(
    group: GroupName,
    restart: Restart = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Bring the clusters that are out of date to their group as it is now."""
    _change(group, {}, restart, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@app.command()
def delete(group: GroupName, yes: Yes = False, as_json: Json = False) -> None:
    """Delete a group that no cluster has."""
    api = Api()
    found = names.parameter_group(api, group)
    if not yes:
        typer.confirm(f"Delete the parameter group {found['name']}?", abort=True, err=True)
    api.send("DELETE", f"/v1/parameter-groups/{found['id']}")
    if as_json:
        print_json({"id": found["id"], "deleted": True})


def _change(wanted: str, body: dict[str, Any], restart: str | None, *, plan: bool, wait: bool, timeout: float | None,
            as_json: bool) -> None:  # fmt: skip
    api = Api()
    path = f"/v1/parameter-groups/{names.parameter_group(api, wanted)['id']}"
    params = {"restart": restart} if restart else {}
    if plan:
        _show_plan(api.send("PATCH", path, body, plan="true", **params)[0], as_json)
        return
    made = api.send("PATCH", path, body, **params)[0]
    if not wait:
        _show(made, as_json)
        return
    begun = [one["operation"] for one in made["clusters"] if one["state"] == "applying"]
    failed = [one for one in [watch(api, operation, timeout) for operation in begun] if one["status"] != "succeeded"]
    _show(api.get(path), as_json)
    for one in failed:
        explain(one)
    if failed:
        raise typer.Exit(Exit.FAILED)


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    show({name: value for name, value in found.items() if name != "clusters"}, as_json)
    show_list(found["clusters"], as_json, CLUSTERS, "no cluster has it")


def _show_plan(found: dict[str, Any], as_json: bool) -> None:
    """What happens on hosts, and who has to wait for it."""
    if as_json:
        print_json(found)
        return
    show_plan(found["plan"], as_json)
    for one in found["clusters"]:
        changes = ", ".join(f"{each['name']}: {each['before']} -> {each['after']}" for each in one["changes"])
        later = f"; later, for {one['waits']}" if one["waits"] else ""
        err().print(f"{one['name']}: {changes or 'nothing changes'}{later}", markup=False, soft_wrap=True)
