"""`dtrove cluster`: make, look at, change and delete clusters."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from client import completion, names
from client.arguments import ClusterName, InstanceName, Json, Plan, Timeout, Wait, Yes
from client.http import Api
from client.plans import ask_plan
from client.terminal import Column, err, out, show, show_list
from client.topology import drawn
from client.watching import follow

app = typer.Typer(no_args_is_help=True)
COLUMNS = (Column("name", cut=True), Column("status"), Column("datastore", "datastore.name"),
           Column("flavor", "flavor.name"), Column("size"), Column("endpoint"))  # fmt: skip


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.", metavar="NAME")],
    datastore: Annotated[
        str, typer.Option(help="As in `pgsql 15`, or `pgsql` where there is one version; see `dtrove datastore list`.")
    ],
    flavor: Annotated[
        str | None,
        typer.Option(
            help="See `dtrove flavor list`; the smallest of 1024 MB or more where none is named.",
            autocompletion=completion.flavors,
        ),
    ] = None,
    size: Annotated[int, typer.Option(help="Number of nodes.")] = 1,
    mode: Annotated[
        str | None,
        typer.Option(
            help="Of several nodes: `sync`, where a write waits until a replica has it, or `async`, which is usual."
        ),
    ] = None,
    volume_gb: Annotated[int | None, typer.Option(help="A disk of its own for the data, in GB.")] = None,
    protected: Annotated[bool, typer.Option("--protected", help="Refuse to delete it until that is lifted.")] = False,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Ask for a cluster."""
    api = Api()
    body = {"name": name, "datastore": names.datastore_wish(api, datastore), "flavor": flavor, "size": size, "volume_gb": volume_gb,
            "deletion_protection": protected, "topology": {"mode": mode} if mode else None}  # fmt: skip
    if plan:
        ask_plan(api, "POST", "/v1/clusters", body, as_json=as_json)
        return
    made, operation = api.send("POST", "/v1/clusters", body)
    _finish(api, made, operation, wait=wait, timeout=timeout, as_json=as_json)


@app.command("list")
def list_clusters(
    status: Annotated[str | None, typer.Option(help="Only those in this state, as in `active`.")] = None,
    as_json: Json = False,
) -> None:
    """The project's clusters, newest first."""
    params = {"status": status} if status else {}
    found = Api().all("/v1/clusters", "clusters", limit=100, **params)
    shown = found if as_json else [one | {"endpoint": _address(one)} for one in found]
    show_list(shown, as_json, COLUMNS, "there are no clusters")


@app.command("show")
def show_cluster(cluster: ClusterName, as_json: Json = False) -> None:
    """One cluster, and who follows whom in it."""
    found = names.cluster(Api(), cluster)
    if as_json or found["size"] == 1:
        show(found, as_json)
        return
    show({name: value for name, value in found.items() if name != "instances"}, as_json)
    out().print(drawn(found))


@app.command()
def update(
    cluster: ClusterName,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    protected: Annotated[
        bool | None, typer.Option("--protected/--unprotected", help="Whether to refuse to delete it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Change a cluster's name, or its protection from deletion."""
    changes = {key: value for key, value in (("name", name), ("deletion_protection", protected)) if value is not None}
    if not changes:
        raise typer.BadParameter("say what to change: --name, --protected or --unprotected")
    api = Api()
    show(api.send("PATCH", f"/v1/clusters/{names.cluster(api, cluster)['id']}", changes)[0], as_json)


@app.command("add-node")
def add_node(
    cluster: ClusterName,
    count: Annotated[int, typer.Option(help="How many.")] = 1,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Add replicas to a cluster that serves."""
    api = Api()
    found = names.cluster(api, cluster)
    path = f"/v1/clusters/{found['id']}/nodes"
    if plan:
        ask_plan(api, "POST", path, {"count": count}, as_json=as_json)
        return
    _, operation = api.send("POST", path, {"count": count})
    _finish(api, found, operation, wait=wait, timeout=timeout, as_json=as_json)


@app.command("remove-node")
def remove_node(
    cluster: ClusterName,
    instance: InstanceName,
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Remove a replica from a cluster, with its server and volume."""
    api = Api()
    found, node = names.cluster(api, cluster), names.instance(api, instance)
    path = f"/v1/clusters/{found['id']}/nodes/{node['id']}"
    if plan:
        ask_plan(api, "DELETE", path, as_json=as_json)
        return
    if not yes:
        typer.confirm(f"Remove {node['name']} with its copy of the data?", abort=True, err=True)
    _, operation = api.send("DELETE", path)
    _finish(api, found, operation, wait=wait, timeout=timeout, as_json=as_json)


@app.command()
def credentials(cluster: ClusterName, as_json: Json = False) -> None:
    """The administrator's login, and a URL with it. That it was read is written down."""
    api = Api()
    show(api.get(f"/v1/clusters/{names.cluster(api, cluster)['id']}/credentials"), as_json)


@app.command()
def delete(
    cluster: ClusterName,
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Delete a cluster, whatever state it is in."""
    api = Api()
    found = names.cluster(api, cluster)
    if plan:
        ask_plan(api, "DELETE", f"/v1/clusters/{found['id']}", as_json=as_json)
        return
    if not yes:
        typer.confirm(f"Delete {found['name']} with all its data?", abort=True, err=True)
    gone, operation = api.send("DELETE", f"/v1/clusters/{found['id']}")
    if wait:
        follow(api, operation, timeout)
        gone = gone | {"status": "deleted"}
    _end(gone, operation, as_json, told=wait)


def _finish(
    api: Api, made: dict[str, Any], operation: str, *, wait: bool, timeout: float | None, as_json: bool
) -> None:
    if wait:
        try:
            follow(api, operation, timeout)
        except typer.Exit:
            if as_json:
                show(api.get(f"/v1/clusters/{made['id']}"), as_json)
            raise
        made = api.get(f"/v1/clusters/{made['id']}")
    _end(made, operation, as_json, told=wait)


def _end(shown: dict[str, Any], operation: str, as_json: bool, *, told: bool) -> None:
    show(shown, as_json)
    if not told and not as_json:
        err().print(f"see how it goes: dtrove operation watch {operation}")


def _address(cluster: dict[str, Any]) -> str:
    primary = (cluster["endpoint"] or {}).get("primary")
    return f"{primary['host']}:{primary['port']}" if primary else ""
