"""`dtrove import`: have what an export holds in a cluster that serves."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.filesize import decimal

from client import completion, names
from client.arguments import ClusterName, ExportName, Json, Plan, Timeout, Wait
from client.changing import Wish, begin, look_on
from client.http import Api
from client.terminal import Column, age, show, show_list
from client.watching import follow

app = typer.Typer(no_args_is_help=True)
COLUMNS = (Column("cluster", "cluster_name", cut=True), Column("status"), Column("databases", cut=True), Column("rows"),
           Column("size"), Column("age"), Column("id"), Column("message", cut=True))  # fmt: skip


@app.command()
def create(
    cluster: ClusterName,
    export: ExportName,
    plan: Plan = False,
    wait: Wait = False,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Import an export into a cluster; nothing that is there is written over."""
    api = Api()
    found = names.export(api, export)
    wish = Wish(names.cluster(api, cluster), "POST", "imports", {"export": found["id"]})
    begun = begin(api, wish, plan=plan, as_json=as_json)
    if begun is None:
        return
    made, operation = begun[0]["import"], begun[1]
    if wait:
        try:
            follow(api, operation, timeout)
        except typer.Exit:
            if as_json:
                show(api.get(f"/v1/imports/{made['id']}"), as_json)
            raise
        made = api.get(f"/v1/imports/{made['id']}")
    show(made if as_json else _told(made), as_json)
    if not wait and not as_json:
        look_on(operation)


@app.command("list")
def list_imports(
    cluster: Annotated[
        str | None,
        typer.Argument(
            help="Name or id of a cluster; none: all.", metavar="[CLUSTER]", autocompletion=completion.clusters
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Imports, newest first, also of clusters that are gone."""
    api = Api()
    params = {"cluster": names.cluster(api, cluster)["id"]} if cluster else {}
    found = api.all("/v1/imports", "imports", limit=100, **params)
    show_list(found if as_json else [_told(one) for one in found], as_json, COLUMNS, "there are no imports")


@app.command("show")
def show_import(
    imported: Annotated[
        str, typer.Argument(help="Id of an import.", metavar="IMPORT", autocompletion=completion.imports)
    ],
    as_json: Json = False,
) -> None:
    """One import: what has come in, and whether it is what was sent."""
    found = names.imported(Api(), imported)
    show(found if as_json else _told(found), as_json)


def _told(found: dict[str, Any]) -> dict[str, Any]:
    """It with sizes and age as people read them, and without what only programs need."""
    facts = dict(found["facts"] or {})
    size = decimal(facts["size_bytes"]) if facts else ""
    rest = {
        name: value for name, value in facts.items() if name not in ("size_bytes", "tables", "databases", "differing")
    }
    shown = {name: value for name, value in found.items() if name not in ("project", "facts")}
    told = {"databases": ", ".join(facts.get("databases", ())), "differing": ", ".join(facts.get("differing", ()))}
    return {"rows": ""} | shown | told | {"size": size, "age": age(found["created_at"])} | rest
