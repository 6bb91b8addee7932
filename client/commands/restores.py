"""`dtrove cluster restore`: other data for a cluster that serves, and what becomes of those that it had."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from client import completion, names
from client.arguments import ClusterName, Json, Plan, Timeout, Wait, Yes
from client.changing import Wish, change
from client.http import Api
from client.restoring import aware

Backup = Annotated[
    str | None,
    typer.Option("--backup", help="The backup whose data it is to have, by its id, or a cluster's newest good one by its name.",
                 autocompletion=completion.backups_or_clusters),
]  # fmt: skip
Moment = Annotated[
    str | None,
    typer.Option("--time", help="The moment as of which it is to be, as 2026-11-30T12:00:05Z.", metavar="TIME"),
]


def restore(
    cluster: ClusterName,
    backup: Backup = None,
    time: Moment = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Drop what it had before it was restored.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Give it back what it had before it was restored.")] = False,
    yes: Yes = False,
    wait: Wait = False,
    timeout: Timeout = None,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Give a cluster the data of a backup, or of a moment, in place of its own; those are kept until you say --confirm or --undo."""
    if sum((confirm, undo, backup is not None or time is not None)) != 1:
        raise typer.BadParameter("say what is wanted: --backup or --time, or --confirm, or --undo")
    api = Api()
    found = names.cluster(api, cluster)
    wish = _decision(found, confirm=confirm) if confirm or undo else _restore(api, found, backup, time)
    change(
        api,
        replace(wish, question="" if yes else wish.question),
        plan=plan,
        wait=wait,
        timeout=timeout,
        as_json=as_json,
    )


def register(app: typer.Typer) -> None:
    """Add the command to those of clusters."""
    app.command()(restore)


def _restore(api: Api, cluster: dict[str, Any], backup: str | None, time: str | None) -> Wish:
    chosen = {"backup": names.backup(api, backup)["id"] if backup else None, "time": aware(time) if time else None}
    body = {name: value for name, value in chosen.items() if value}
    return Wish(
        cluster,
        "POST",
        "restore",
        body,
        f"Replace the data of {cluster['name']}? What it has now is kept until you confirm.",
    )


def _decision(cluster: dict[str, Any], *, confirm: bool) -> Wish:
    if confirm:
        return Wish(
            cluster,
            "POST",
            "restore/confirm",
            None,
            f"Drop what {cluster['name']} had before it was restored, for good?",
        )
    return Wish(
        cluster,
        "POST",
        "restore/undo",
        None,
        f"Drop what was written to {cluster['name']} since it was restored, for good?",
    )
