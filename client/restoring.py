"""A cluster that is to begin with a backup, or a moment after one: what is not said of it is as it was then."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import typer

from client import names
from client.exits import Exit
from client.http import Api, ApiError


def from_backup(api: Api, wanted: str, body: dict[str, Any], time: str | None = None) -> dict[str, Any]:
    """The wish for a cluster in `body`, which is to begin with a backup, or as of a `time`. Raises ApiError (3) where there is none."""
    moment = None if time is None else aware(time)
    backup = names.backup(api, wanted) if moment is None else _any_of(api, wanted)
    was = backup["datastore"]
    # Which backup leads to a moment is the API's to know.
    named = {"backup": backup["id"]} if moment is None or wanted == backup["id"] else {"cluster": backup["cluster"]}
    return body | {
        "restore": named if moment is None else {**named, "time": moment},
        "datastore": body["datastore"] or f"{was['manager']} {was['version']}",
        "flavor": body["flavor"] or backup["flavor"]["id"], "volume_gb": body["volume_gb"] or backup["volume_gb"],
    }  # fmt: skip


def aware(time: str) -> str:
    """A moment that somebody has typed, as the API wants it."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError as error:
        raise typer.BadParameter(f"{time!r} is no time, as in 2026-11-30T12:00:05Z") from error
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{time!r} has no time zone: end it in Z for UTC, or in an offset as +02:00")
    return moment.isoformat()


def _any_of(api: Api, wanted: str) -> dict[str, Any]:
    """A backup by its id, or the newest of a cluster's, also of one that is gone."""
    try:
        return names.backup(api, wanted)
    except ApiError as error:
        if error.exit_code != Exit.NOT_FOUND:
            raise
        left = api.all("/v1/backups", "backups", limit=100, deleted_clusters="true", status="completed")
        found = next((one for one in left if wanted in (one["cluster"], one["cluster_name"])), None)
        if found is None:
            raise
        # The name may have been several clusters': the API is told the word that was typed.
        return found | {"cluster": wanted}
