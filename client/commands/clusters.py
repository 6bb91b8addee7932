"""`dtrove cluster`: make, look at, change and delete clusters."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from client import archives, completion, names
from client.arguments import ClusterName, InstanceName, Json, Plan, Timeout, Wait, Yes
from client.changing import Wish, change, end, finish, named
from client.commands.parameters import Chosen, pairs
from client.exits import Exit
from client.http import Api, ApiError
from client.plans import ask_plan
from client.restoring import from_backup
from client.terminal import Column, age, out, print_json, show, show_list, span
from client.topology import drawn, lag
from client.watching import follow

app = typer.Typer(no_args_is_help=True)
COLUMNS = (Column("name", cut=True), Column("status"), Column("datastore", "datastore.name"),
           Column("flavor", "flavor.name"), Column("size"), Column("endpoint"))  # fmt: skip
To = Annotated[
    str | None,
    typer.Option("--to", help="The replica that takes over, by name or id; without one whoever has received most.",
                 autocompletion=completion.instances),
]  # fmt: skip
HEALTH = (Column("name"), Column("role"), Column("verdict"), Column("for"), Column("seen"), Column("lag"),
          Column("message", cut=True))  # fmt: skip
HISTORY = (Column("ago"), Column("name"), Column("verdict"), Column("message", cut=True))
CHANGES = 10


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.", metavar="NAME")],
    datastore: Annotated[
        str | None,
        typer.Option(help="As in `pgsql 15`, or `pgsql` where there is one version; see `dtrove datastore list`."),
    ] = None,
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
    failover: Annotated[
        str | None,
        typer.Option(help="Of several nodes: `automatic`, which is usual, or `manual`: nobody is promoted unasked."),
    ] = None,
    volume_gb: Annotated[int | None, typer.Option(help="A disk of its own for the data, in GB.")] = None,
    protected: Annotated[bool, typer.Option("--protected", help="Refuse to delete it until that is lifted.")] = False,
    parameter: Chosen = None,
    parameter_group: Annotated[
        str | None, typer.Option(help="A parameter group by name or id; its own parameters go before the group's.")
    ] = None,
    restore: Annotated[
        str | None,
        typer.Option(
            help="Begin with a backup, by its id or its cluster; datastore, flavor and volume are as they were where none are named.",
            autocompletion=completion.backups_or_clusters,
        ),
    ] = None,
    restore_time: Annotated[
        str | None,
        typer.Option(
            "--restore-time", help="With --restore: as of this moment, as 2026-11-30T12:00:05Z.", metavar="TIME"
        ),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Ask for a cluster."""
    if datastore is None and restore is None:
        raise typer.BadParameter("say what it is to be: --datastore, or --restore")
    if restore_time is not None and restore is None:
        raise typer.BadParameter("--restore-time wants --restore as well: whose data, a cluster or a backup")
    api = Api()
    chosen = {"parameters": pairs(parameter or []), "parameter_group": parameter_group}
    body = {"name": name, "datastore": names.datastore_wish(api, datastore) if datastore else None, "flavor": flavor, "size": size, "volume_gb": volume_gb,
            "deletion_protection": protected, "topology": _topology(mode, failover), **{key: value for key, value in chosen.items() if value}}  # fmt: skip
    if restore is not None:
        body = from_backup(api, restore, body, restore_time)
    if plan:
        ask_plan(api, "POST", "/v1/clusters", body, as_json=as_json)
        return
    made, operation = api.send("POST", "/v1/clusters", body)
    finish(api, made, operation, wait=wait, timeout=timeout, as_json=as_json)


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
    """One cluster, who follows whom in it, and how its nodes were when they were last seen."""
    api = Api()
    found = api.get(f"/v1/clusters/{names.cluster(api, cluster)['id']}")
    if as_json:
        show(found, as_json)
        return
    there = {name: value for name, value in found.items() if name not in ("instances", "health")}
    show(there | {"restorable": archives.moments(found.get("restorable")), "restored_in_place": _kept(found)}, as_json)
    if found["instances"]:
        out().print(drawn(found))


@app.command()
def health(cluster: ClusterName, as_json: Json = False) -> None:
    """How a cluster's nodes were when they were last seen, and how that has changed."""
    api = Api()
    report = api.get(f"/v1/clusters/{names.cluster(api, cluster)['id']}/health")
    if as_json:
        print_json(report)
        return
    nodes = report["health"]["nodes"] if report["health"] else []
    shown = [
        one | {"seen": f"{span(one['age_seconds'])} ago", "lag": lag(one), "for": age(one["since"])} for one in nodes
    ]
    show_list(shown, as_json, HEALTH, "nothing was seen of it yet")
    if archive := report.get("archive"):
        out().print(f"\n{archives.told(archive)}", markup=False)
    changes = [one | {"ago": age(one["at"])} for one in report["history"][:CHANGES]]
    if changes:
        out().print()
        show_list(changes, as_json, HISTORY, "")


@app.command()
def update(
    cluster: ClusterName,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    protected: Annotated[
        bool | None, typer.Option("--protected/--unprotected", help="Whether to refuse to delete it.")
    ] = None,
    failover: Annotated[str | None, typer.Option(help="`automatic`, or `manual`: nobody is promoted unasked.")] = None,
    as_json: Json = False,
) -> None:
    """Change a cluster's name, its protection from deletion, or who decides over failovers."""
    wanted = (("name", name), ("deletion_protection", protected), ("failover", failover))
    changes = {key: value for key, value in wanted if value is not None}
    if not changes:
        raise typer.BadParameter("say what to change: --name, --protected, --unprotected or --failover")
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
    wish = Wish(names.cluster(api, cluster), "POST", "nodes", {"count": count})
    change(api, wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


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
    question = "" if yes else f"Remove {node['name']} with its copy of the data?"
    wish = Wish(found, "DELETE", f"nodes/{node['id']}", question=question)
    change(api, wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@app.command()
def switchover(
    cluster: ClusterName,
    to: To = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Have a replica take the writes of a primary that is well."""
    api = Api()
    wish = Wish(names.cluster(api, cluster), "POST", "switchover", {"instance": named(api, to)})
    change(api, wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@app.command()
def failover(
    cluster: ClusterName,
    to: To = None,
    accept_loss: Annotated[
        bool,
        typer.Option(
            "--accept-loss", help="Also where acknowledged writes may be lost, for want of a node that has them."
        ),
    ] = False,
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Have a replica take the place of a primary that is dead, once that is proven and its server is switched off."""
    api = Api()
    found = names.cluster(api, cluster)
    body = {"instance": named(api, to), "accept_loss": accept_loss}
    question = "" if yes else f"Switch the primary of {found['name']} off, and have a replica take its place?"
    wish = Wish(found, "POST", "failover", body, question)
    change(api, wish, plan=plan, wait=wait, timeout=timeout, as_json=as_json)


@app.command()
def credentials(cluster: ClusterName, as_json: Json = False) -> None:
    """The administrator's login, and URLs with it: one by all nodes, and one by the cluster's own address, where it has one. That it
    was read is written down.
    """
    api = Api()
    show(api.get(f"/v1/clusters/{names.cluster(api, cluster)['id']}/credentials"), as_json)


@app.command()
def delete(
    cluster: ClusterName,
    final_backup: Annotated[
        bool, typer.Option("--final-backup", help="Make a backup first, and delete only once that is completed.")
    ] = False,
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
    params = {"final_backup": "true"} if final_backup else {}
    gone, operation = api.send("DELETE", f"/v1/clusters/{found['id']}", **params)
    if wait:
        follow(api, operation, timeout)
        if final_backup:
            _follow_the_end(api, found["id"], timeout)
        gone = gone | {"status": "deleted"}
    end(gone, operation, as_json, told=wait)


def _follow_the_end(api: Api, cluster_id: str, timeout: float | None) -> None:
    """Watch a cluster go whose last backup is completed; it may be gone by now, or be kept by somebody else's word."""
    try:
        left = api.get(f"/v1/clusters/{cluster_id}")
    except ApiError as error:
        if error.exit_code == Exit.NOT_FOUND:
            return
        raise
    if left["status"] != "deleting":
        raise ApiError(f"cluster {left['name']}: {left['message']}", Exit.CONFLICT)
    follow(api, left["operation"], timeout)


def _kept(cluster: dict[str, Any]) -> str | None:
    """What is kept of before a restore in place, as a sentence."""
    kept = cluster.get("restored_in_place")
    if not kept:
        return None
    where = next((one["name"] for one in cluster["instances"] if one["id"] == kept["instance"]), kept["instance"])
    return (f"of backup {kept['backup']}; what it had before is kept on {where} until {kept['purge_at']}: "
            f"dtrove cluster restore {cluster['name']} --confirm, or --undo")  # fmt: skip


def _topology(mode: str | None, policy: str | None) -> dict[str, str] | None:
    chosen = {name: value for name, value in (("mode", mode), ("failover", policy)) if value}
    return chosen or None


def _address(cluster: dict[str, Any]) -> str:
    """Where it takes writes: at its own address, where it has one."""
    endpoint = cluster["endpoint"] or {}
    place = endpoint.get("address") or endpoint.get("primary")
    return f"{place['host']}:{place['port']}" if place else ""
