"""A cluster that is to begin with a backup: what is not said of it is as it was when the backup was made."""

from __future__ import annotations

from typing import Any

from client import names
from client.http import Api


def from_backup(api: Api, wanted: str, body: dict[str, Any]) -> dict[str, Any]:
    """The wish for a cluster in `body`, which is to begin with a backup. Raises ApiError (3) where there is none."""
    backup = names.backup(api, wanted)
    was = backup["datastore"]
    return body | {
        "restore": {"backup": backup["id"]}, "datastore": body["datastore"] or f"{was['manager']} {was['version']}",
        "flavor": body["flavor"] or backup["flavor"]["id"], "volume_gb": body["volume_gb"] or backup["volume_gb"],
    }  # fmt: skip
