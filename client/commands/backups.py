"""`dtrove backup`: make, look at, prove and delete backups, and have a new cluster begin with one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.filesize import decimal

from client import archives, completion, names
from client.arguments import BackupName, ClusterName, Json, Plan, Timeout, Wait, Yes
from client.changing import finish, look_on
from client.http import Api
from client.plans import ask_plan
from client.proving import counted, proven, wanted_checks
from client.restoring import from_backup
from client.terminal import Column, age, out, show, show_list, span
from client.watching import follow, follow_to

app = typer.Typer(no_args_is_help=True)
COLUMNS = (Column("cluster", "cluster_name", cut=True), Column("status"), Column("kind"), Column("store"), Column("size"),
           Column("stored"), Column("took"), Column("age"), Column("proven"), Column("id"), Column("message", cut=True))  # fmt: skip


@app.command()
def create(
    cluster: ClusterName,
    store: Annotated[
        str | None,
        typer.Option(help="The name of a store, as DTROVE_BACKUP_STORES has it; the first one where none is named."),
    ] = None,
    kind: Annotated[str, typer.Option(help="full, or incremental: what has changed since the last one.")] = "full",
    wait: Wait = False,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Back a cluster up now."""
    api = Api()
    body = {"kind": kind, **({"store": store} if store else {})}
    made, operation = api.send("POST", f"/v1/clusters/{names.cluster(api, cluster)['id']}/backups", body)
    found = made["backup"]
    if wait:
        found = follow_to(api, f"/v1/backups/{found['id']}", operation, timeout, as_json=as_json)
    _end(found, operation, as_json, told=wait)


@app.command("list")
def list_backups(
    cluster: Annotated[
        str | None,
        typer.Argument(
            help="Name or id of a cluster; none: all.", metavar="[CLUSTER]", autocompletion=completion.clusters
        ),
    ] = None,
    deleted_clusters: Annotated[
        bool, typer.Option("--deleted-clusters", help="Only those whose cluster is gone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Backups, newest first."""
    api = Api()
    params: dict[str, str] = {}
    if deleted_clusters:
        # What is gone has lost its name to whoever comes next: it is looked for among the backups themselves.
        params["deleted_clusters"] = "true"
    elif cluster:
        params["cluster"] = names.cluster(api, cluster)["id"]
    found = api.all("/v1/backups", "backups", limit=100, **params)
    if deleted_clusters and cluster:
        found = [one for one in found if cluster in (one["cluster"], one["cluster_name"])]
    show_list(found if as_json else [_told(one) for one in found], as_json, COLUMNS, "there are no backups")
    alone = api.get(f"/v1/clusters/{params['cluster']}") if "cluster" in params and not as_json else {}
    if there := archives.moments(alone.get("restorable")):
        out().print(f"\nany moment can be restored {there}", markup=False)


@app.command("show")
def show_backup(backup: BackupName, as_json: Json = False) -> None:
    """One backup."""
    found = names.backup(Api(), backup)
    show(found if as_json else _told(found), as_json)


@app.command()
def delete(
    backup: Annotated[str, typer.Argument(help="Id of a backup.", metavar="BACKUP", autocompletion=completion.backups)],
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Delete a backup, also one whose cluster is gone."""
    api = Api()
    found = names.backup(api, backup, by_cluster=False)
    if not yes:
        made = f"{age(found['created_at'])} ago"
        typer.confirm(f"Delete the backup of {found['cluster_name']}, made {made}?", abort=True, err=True)
    answer, operation = api.send("DELETE", f"/v1/backups/{found['id']}")
    gone = answer["backup"]
    if wait:
        follow(api, operation, timeout)
        gone = gone | {"status": "deleted"}
    _end(gone, operation, as_json, told=wait)


@app.command()
def verify(
    backup: BackupName,
    check: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SQL, or NAME@DATABASE=SQL: what the restored data are asked; of Redis a command.",
                     metavar="NAME=SQL"),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(help="NAME=ANSWER: what the check of that name must answer.", metavar="NAME=ANSWER"),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Prove a backup: restore it to a server of its own, look at all that is there, and have the server gone again."""
    api = Api()
    found = names.backup(api, backup)
    body = {"checks": wanted_checks(check or (), expect or ())}
    _, operation = api.send("POST", f"/v1/backups/{found['id']}/verify", body)
    if wait:
        try:
            follow(api, operation, timeout)
        except typer.Exit:
            _end(api.get(f"/v1/backups/{found['id']}"), operation, as_json, told=True)
            raise
        found = api.get(f"/v1/backups/{found['id']}")
    _end(found, operation, as_json, told=wait)


@app.command()
def restore(
    backup: BackupName,
    name: Annotated[str, typer.Option(help="Of the new cluster: lower-case letters, digits and hyphens.")],
    flavor: Annotated[
        str | None,
        typer.Option(
            help="See `dtrove flavor list`; as it was where none is named.", autocompletion=completion.flavors
        ),
    ] = None,
    size: Annotated[int, typer.Option(help="Number of nodes.")] = 1,
    volume_gb: Annotated[
        int | None,
        typer.Option(help="A disk of its own for the data, in GB; as large as it was where nothing is said."),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(help="A moment after the backup, as 2026-11-30T12:00:05Z; of a cluster, the best backup is chosen for it.",
                     metavar="TIME"),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Make a cluster that begins with the data of a backup, or of a moment; a short form of `dtrove cluster create --restore`."""
    api = Api()
    wish = {"name": name, "datastore": None, "flavor": flavor, "size": size, "volume_gb": volume_gb}
    body = from_backup(api, backup, wish, time)
    if plan:
        ask_plan(api, "POST", "/v1/clusters", body, as_json=as_json)
        return
    made, operation = api.send("POST", "/v1/clusters", body)
    finish(api, made, operation, wait=wait, timeout=timeout, as_json=as_json)


def _end(found: dict[str, Any], operation: str, as_json: bool, *, told: bool) -> None:
    show(found if as_json else _told(found), as_json)
    if not told and not as_json:
        look_on(operation)


def _told(backup: dict[str, Any]) -> dict[str, Any]:
    """It with sizes, age and duration as people read them, and without what only programs need."""
    facts = dict(backup["facts"] or {})
    sizes = {name: decimal(facts[key]) if facts.get(key) else ""
             for name, key in (("size", "size_bytes"), ("stored", "stored_bytes"))}  # fmt: skip
    rest = {name: value for name, value in facts.items() if name not in ("size_bytes", "stored_bytes", "tally")}
    shown = {name: value for name, value in backup.items() if name not in ("project", "facts")}
    more = {"took": _took(backup), "age": age(backup["created_at"]), "proven": proven(backup),
            "counted": counted(facts.get("tally"))}  # fmt: skip
    return shown | sizes | more | rest


def _took(backup: dict[str, Any]) -> str:
    began, ended = backup["started_at"], backup["finished_at"]
    if not began or not ended:
        return ""
    return span((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())
