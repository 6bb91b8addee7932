"""The health of clusters over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from falcon import Request, Response

from services.api.actions import clusters
from services.api.http import Context
from services.api.schemas import samples as shown_samples
from services.api.schemas import shown
from services.api.serving import serves
from services.api.store import archives, health, views


class ClusterHealth:
    """`/v1/clusters/{id}/health`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=shown.HealthReport)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """How each node was when it was last seen, and how that has changed."""
        database = self._context.database
        with database.read() as connection:
            row = clusters.get(connection, request.context.caller.project_id, cluster_id)
            response.media = {
                "health": health.of_cluster(connection, row, database.clock.now()),
                "archive": archives.of_cluster(connection, cluster_id),
                "history": health.history(connection, cluster_id),
            }


class ClusterSamples:
    """`/v1/clusters/{id}/samples`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=shown_samples.Samples)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """The last day of each node, by a sample about every ten minutes: load, disk, lag, connections, operations a second."""
        with self._context.database.read() as connection:
            row = clusters.get(connection, request.context.caller.project_id, cluster_id)
            names = {one["id"]: one["name"] for one in views.clusters(connection, [row])[0]["instances"]}
        found = self._context.databases.call("samples", cluster_id)
        there = [one for one in found if one["instance"] in names]
        response.media = {"nodes": [_of_node(one, names[one["instance"]]) for one in there]}


def _of_node(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A node's samples, of what datastore_agentless has told."""
    shown = [
        {
            "at": views.stamp(datetime.fromisoformat(one["at"])),
            **{known: one.get(known) for known in shown_samples.MEASURED},
        }
        for one in told["samples"]
    ]
    return {"instance": told["instance"], "name": name, "samples": shown}
