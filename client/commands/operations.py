"""`dtrove operation`: watch, cancel, retry; what exactly ran."""

from __future__ import annotations

from typing import Annotated

import typer

from client import completion, names
from client.arguments import Json, OperationName, Timeout, Wait
from client.exits import Exit
from client.http import Api
from client.terminal import Column, age, out, print_json, show, show_list
from client.watching import explain, follow, watch

app = typer.Typer(no_args_is_help=True)
COLUMNS = (Column("kind"), Column("status"), Column("cluster", "on", cut=True), Column("age"),
           Column("id"))  # fmt: skip


@app.command("list")
def list_operations(
    cluster: Annotated[
        str | None,
        typer.Argument(
            help="Name or id of a cluster; none: all.", metavar="[CLUSTER]", autocompletion=completion.clusters
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=100)] = 20,
    as_json: Json = False,
) -> None:
    """Operations, newest first."""
    api = Api()
    params = {"cluster": names.cluster(api, cluster)["id"]} if cluster else {}
    found = api.get("/v1/operations", limit=limit, **params)["operations"]
    if not as_json:
        called = {one["id"]: one["name"] for one in api.all("/v1/clusters", "clusters", limit=100)}
        found = [one | {"on": called.get(one["cluster"], "(gone)"), "age": age(one["created_at"])}
                 for one in found]  # fmt: skip
    show_list(found, as_json, COLUMNS, "there are no operations")


@app.command("show")
def show_operation(operation: OperationName, as_json: Json = False) -> None:
    """One operation with its steps."""
    api = Api()
    show(api.get(f"/v1/operations/{names.operation(api, operation)}"), as_json)


@app.command("watch")
def watch_operation(operation: OperationName, timeout: Timeout = None, as_json: Json = False) -> None:
    """Show each step until the end."""
    api = Api()
    found = names.operation(api, operation)
    if not as_json:
        follow(api, found, timeout)
        return
    ended = watch(api, found, timeout)
    print_json(ended)
    if ended["status"] != "succeeded":
        explain(ended)
        raise typer.Exit(Exit.FAILED)


@app.command()
def cancel(operation: OperationName, wait: Wait = False, timeout: Timeout = None, as_json: Json = False) -> None:
    """Stop an operation and undo it."""
    api = Api()
    found = names.operation(api, operation)
    answer, _ = api.send("POST", f"/v1/operations/{found}/cancel")
    if wait:
        # A cancelled operation is what was asked for.
        answer = watch(api, found, timeout)
    show(answer, as_json)


@app.command()
def retry(operation: OperationName, wait: Wait = False, timeout: Timeout = None, as_json: Json = False) -> None:
    """Go on from the step that failed."""
    api = Api()
    found = names.operation(api, operation)
    answer, _ = api.send("POST", f"/v1/operations/{found}/retry")
    if wait:
        answer = follow(api, found, timeout)
    show(answer, as_json)


@app.command()
def transcript(operation: OperationName, as_json: Json = False) -> None:
    """The exact commands that ran, with secrets masked."""
    api = Api()
    entries = api.get(f"/v1/operations/{names.operation(api, operation)}/transcript")["transcript"]
    if as_json:
        print_json(entries)
        return
    console = out()
    for entry in entries:
        console.print(f"{entry['host']}  {entry['title']}  → {entry['exit_code']} ({entry['seconds']} s)", style="bold",
                      markup=False, soft_wrap=True)  # fmt: skip
        for text in (entry["command"], entry["stdout"], entry["stderr"]):
            if text.strip():
                console.print("    " + text.strip().replace("\n", "\n    "), markup=False, soft_wrap=True)
