"""Clusters, instances and operations."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from client.commands import out, show
from client.http import Api, ApiError
from client.watching import explain, watch

app, instances, operations = (typer.Typer(no_args_is_help=True) for _ in range(3))
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Wait = Annotated[bool, typer.Option("--wait", help="show each step until the end")]
Plan = Annotated[bool, typer.Option("--plan", help="show what would be done, and do nothing")]


def find(api: Api, wanted: str) -> dict[str, Any]:
    """A cluster by name or id. Raises ApiError (3) where there is none."""
    named = api.get("/v1/clusters", name=wanted)["clusters"]
    found: dict[str, Any] = named[0] if named else api.get(f"/v1/clusters/{wanted}")
    return found


def follow(api: Api, operation: str) -> dict[str, Any]:
    """Watch an operation; a failed one ends the command with 1."""
    ended = watch(api, operation, out)
    if ended["status"] != "succeeded":
        explain(ended, out)
        raise typer.Exit(1)
    return ended


@app.command()
def create(
    name: str,
    datastore: Annotated[str, typer.Option(help="as in `pgsql 15`; see `dtrove datastore list`")],
    flavor: Annotated[str, typer.Option(help="see `dtrove flavor list`")] = "small",
    size: int = 1,
    volume_gb: Annotated[int | None, typer.Option(help="a disk of its own for the data, in GB")] = None,
    wait: Wait = False,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Ask for a cluster."""
    api = Api()
    body = {"name": name, "datastore": datastore, "flavor": flavor, "size": size, "volume_gb": volume_gb}
    if plan:
        _show_plan(api.send("POST", "/v1/clusters", body, plan="true")[0]["plan"], as_json)
        return
    made, operation = api.send("POST", "/v1/clusters", body)
    if wait:
        follow(api, operation)
        made = api.get(f"/v1/clusters/{made['id']}")
    show(made, as_json)


@app.command("list")
def list_clusters(as_json: Json = False) -> None:
    """The project's clusters."""
    found = Api().all("/v1/clusters", "clusters", limit=100)
    show(found, as_json, ("name", "status", "datastore.name", "flavor.name", "size", "endpoint.url", "id"))


@app.command("show")
def show_cluster(cluster: str, as_json: Json = False) -> None:
    """One cluster, by name or id."""
    show(find(Api(), cluster), as_json)


@app.command()
def credentials(cluster: str, as_json: Json = False) -> None:
    """The administrator's login."""
    api = Api()
    show(api.get(f"/v1/clusters/{find(api, cluster)['id']}/credentials"), as_json)


@app.command()
def delete(cluster: str, wait: Wait = False, plan: Plan = False, as_json: Json = False,
           yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False) -> None:  # fmt: skip
    """Delete a cluster, whatever state it is in."""
    api = Api()
    found = find(api, cluster)
    if plan:
        _show_plan(api.send("DELETE", f"/v1/clusters/{found['id']}", plan="true")[0]["plan"], as_json)
        return
    if not yes:
        typer.confirm(f"Delete {found['name']} with all its data?", abort=True)
    gone, operation = api.send("DELETE", f"/v1/clusters/{found['id']}")
    if wait:
        follow(api, operation)
    show(gone, as_json)


@instances.command("list")
def list_instances(cluster: str, as_json: Json = False) -> None:
    """A cluster's instances."""
    api = Api()
    found = api.get(f"/v1/clusters/{find(api, cluster)['id']}/instances")["instances"]
    show(found, as_json, ("name", "status", "addr", "id", "message"))


@instances.command()
def perform(instance: str, commands: list[str], name: str = "by hand", as_json: Json = False) -> None:
    """Run commands on an instance, and print what they print as it comes."""
    api = Api()
    _, operation = api.send("POST", f"/v1/instances/{instance}/perform", {"name": name, "commands": commands})
    printed = 0
    shown: dict[str, Any] = {}
    for shown in api.follow(f"/v1/operations/{operation}"):
        if not as_json:
            typer.echo(shown["output"][printed:], nl=False)
            printed = len(shown["output"])
    if as_json:
        show(shown, as_json)
    if shown["status"] != "succeeded":
        explain(shown, out)
        raise typer.Exit(1)


@operations.command("list")
def list_operations(as_json: Json = False) -> None:
    """The project's operations, newest first."""
    show(
        Api().get("/v1/operations", limit=50)["operations"], as_json, ("kind", "status", "cluster", "created_at", "id")
    )


@operations.command("show")
def show_operation(operation: str, as_json: Json = False) -> None:
    """One operation with its steps."""
    show(Api().get(f"/v1/operations/{operation}"), as_json)


@operations.command("watch")
def watch_operation(operation: str) -> None:
    """Show each step until the end."""
    follow(Api(), operation)


@operations.command()
def cancel(operation: str, as_json: Json = False) -> None:
    """Stop an operation and undo it."""
    show(Api().send("POST", f"/v1/operations/{operation}/cancel")[0], as_json)


@operations.command()
def retry(operation: str, wait: Wait = False, as_json: Json = False) -> None:
    """Go on from the step that failed."""
    api = Api()
    answer, _ = api.send("POST", f"/v1/operations/{operation}/retry")
    if wait:
        follow(api, operation)
    show(answer, as_json)


@operations.command()
def transcript(operation: str, as_json: Json = False) -> None:
    """The exact commands that ran, redacted."""
    entries = Api().get(f"/v1/operations/{operation}/transcript")["transcript"]
    if as_json:
        show(entries, as_json)
        return
    for entry in entries:
        out.print(
            f"[bold]{entry['host']}[/] {entry['title']} → {entry['exit_code']} ({entry['seconds']} s)", highlight=False
        )
        for text in (entry["command"], entry["stdout"], entry["stderr"]):
            if text.strip():
                out.print("    " + text.strip().replace("\n", "\n    "), highlight=False, markup=False)


def _show_plan(plan: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show(plan, as_json)
        return
    for host in plan["hosts"]:
        out.print(f"[bold]on {host['host']}[/]")
        for command in host["commands"]:
            out.print(f"  {command['title']}\n    {command['command']}", highlight=False, markup=False)
        for file in host["files"]:
            out.print(f"  {file['path']}\n{file['diff']}", highlight=False, markup=False)
    for lost in plan["lost"]:
        out.print(f"[red]lost[/]: {lost}", highlight=False)


__all__ = ["ApiError", "app", "instances", "operations"]
