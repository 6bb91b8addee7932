"""What an export has brought into a cluster that serves."""

from __future__ import annotations

from services.api.web.asking import Asking
from services.api.web.changes.base import Call, Cluster, Field, Given, Kind
from services.api.web.words import size

MOST = 100


def _exports(asking: Asking, cluster: Cluster) -> list[tuple[str, str]]:
    """Those that are whole, and of the same engine."""
    found = asking.get("/v1/exports", limit=MOST, status="completed")["exports"]
    return [
        (one["id"], f"{one['cluster_name']}, {one['created_at'][:16].replace('T', ' ')} UTC, {one['format']}, "
                    f"{size(one['facts']['stored_bytes'])}")
        for one in found
        if one["datastore"]["manager"] == cluster["datastore"]["manager"]
    ]  # fmt: skip


def _import(given: Given) -> Call:
    return Call("POST", "imports", {"export": given["export"]})


KINDS = {
    "import": Kind(
        "Import into {cluster}", "Import it",
        "What an export has comes in beside what is there; nothing is written over, and what is in the way ends it before it begins. "
        "No other change of the cluster begins until it has ended.",
        _import,
        (Field("export", "Which export", "One of the same engine that is whole, the newest first.", _exports),),
    ),
}  # fmt: skip
