"""`dtrove export`: have a cluster's data in a form that the engine's own tools read without DTrove."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.filesize import decimal

from client import completion, names
from client.arguments import ClusterName, ExportName, Json, Timeout, Wait, Yes
from client.changing import look_on
from client.downloads import fetch, keep_key
from client.exits import Exit
from client.http import Api, ApiError
from client.terminal import Column, age, err, print_json, show, show_list
from client.watching import follow, follow_to
from shared.contracts.exports import command

app = typer.Typer(no_args_is_help=True)
COLUMNS = (Column("cluster", "cluster_name", cut=True), Column("status"), Column("format"), Column("of"), Column("store"),
           Column("rows"), Column("stored"), Column("age"), Column("id"), Column("message", cut=True))  # fmt: skip


@app.command()
def create(
    cluster: ClusterName,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="Of PostgreSQL sql or custom, of MariaDB sql, of Redis rdb or jsonl; else the first of these."),
    ] = None,
    database: Annotated[list[str] | None, typer.Option(help="A database; again for more, none for all.")] = None,
    table: Annotated[
        list[str] | None, typer.Option(help="A table of the one database, as TABLE or SCHEMA.TABLE; again for more, none for all."),
    ] = None,
    encrypt: Annotated[bool, typer.Option(help="Keep it encrypted, to a key of its own.")] = True,
    store: Annotated[
        str | None,
        typer.Option(help="The name of a store, as DTROVE_BACKUP_STORES has it; the first one where none is named."),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Export a cluster, or some of its databases and tables."""
    api = Api()
    body = {
        "format": format_,
        "databases": database or [],
        "tables": table or [],
        "encrypted": encrypt,
        "store": store or "",
    }
    made, operation = api.send("POST", f"/v1/clusters/{names.cluster(api, cluster)['id']}/exports", body)
    found = made["export"]
    if wait:
        found = follow_to(api, f"/v1/exports/{found['id']}", operation, timeout, as_json=as_json)
    _end(found, operation, as_json, told=wait)


@app.command("list")
def list_exports(
    cluster: Annotated[
        str | None,
        typer.Argument(
            help="Name or id of a cluster; none: all.", metavar="[CLUSTER]", autocompletion=completion.clusters
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Exports, newest first, also of clusters that are gone."""
    api = Api()
    params = {"cluster": names.cluster(api, cluster)["id"]} if cluster else {}
    found = api.all("/v1/exports", "exports", limit=100, **params)
    show_list(found if as_json else [_told(one) for one in found], as_json, COLUMNS, "there are no exports")


@app.command("show")
def show_export(export: ExportName, as_json: Json = False) -> None:
    """One export: what is in it, and how it is restored without DTrove."""
    found = names.export(Api(), export)
    show(found if as_json else _told(found), as_json)


@app.command()
def download(
    export: ExportName,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file, or a folder that is there; else a file in this folder."),
    ] = None,
    encrypted: Annotated[
        bool, typer.Option("--encrypted", help="Leave it encrypted, and write its key beside it."),
    ] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Have an export's file here, decrypted; goes on where an earlier try has ended."""
    api = Api()
    found = names.export(api, export)
    if found["facts"] is None:
        raise ApiError(f"the export is {found['status']}: there is nothing to have yet", Exit.CONFLICT)
    opened = found["encrypted"] and not encrypted
    name = found["facts"]["file"].removesuffix(".age") if opened else found["facts"]["file"]
    place = output / name if output and output.is_dir() else output or Path(name)
    if place.exists():
        raise ApiError(f"{place} is there already: move it away, or name another file with --output", Exit.CONFLICT)
    fetch(api, found, place, opened=opened)
    key = keep_key(api, found, place.parent) if found["encrypted"] and encrypted else None
    line = _line(found, place, key)
    if as_json:
        print_json({"file": str(place), "key": str(key) if key else None, "command": line})
        return
    typer.echo(place)
    err().print(f"restore it without DTrove:\n  {line}", markup=False, soft_wrap=True)


@app.command()
def delete(
    export: Annotated[
        str, typer.Argument(help="Id of an export.", metavar="EXPORT", autocompletion=completion.exports)
    ],
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Delete an export, also one whose cluster is gone."""
    api = Api()
    found = names.export(api, export, by_cluster=False)
    if not yes:
        made = f"{age(found['created_at'])} ago"
        typer.confirm(f"Delete the export of {found['cluster_name']}, made {made}?", abort=True, err=True)
    answer, operation = api.send("DELETE", f"/v1/exports/{found['id']}")
    gone = answer["export"]
    if wait:
        follow(api, operation, timeout)
        gone = gone | {"status": "deleted"}
    _end(gone, operation, as_json, told=wait)


def _line(export: dict[str, Any], place: Path, key: Path | None) -> str:
    """What restores the file that is here."""
    facts = export["facts"]
    if key is None:
        return command(shlex.quote(str(place)), facts["restore"], encrypted=False)
    return str(facts["command"])


def _end(found: dict[str, Any], operation: str, as_json: bool, *, told: bool) -> None:
    show(found if as_json else _told(found), as_json)
    if not told and not as_json:
        look_on(operation)


def _told(export: dict[str, Any]) -> dict[str, Any]:
    """It with sizes and age as people read them, and without what only programs need."""
    facts = dict(export["facts"] or {})
    sizes = {name: decimal(facts[key]) if key in facts else ""
             for name, key in (("size", "size_bytes"), ("stored", "stored_bytes"))}  # fmt: skip
    rest = {
        name: value
        for name, value in facts.items()
        if name not in ("size_bytes", "stored_bytes", "tables", "databases")
    }
    shown = {name: value for name, value in export.items() if name not in ("project", "facts")}
    chosen = ", ".join(export["tables"] or export["databases"]) or "all"
    return {"rows": ""} | shown | sizes | {"of": chosen, "age": age(export["created_at"])} | rest
