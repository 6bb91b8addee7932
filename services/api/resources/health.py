"""The health of clusters over HTTP."""

from __future__ import annotations

from falcon import Request, Response

from services.api.actions import clusters
from services.api.http import Context
from services.api.schemas import shown
from services.api.serving import serves
from services.api.store import archives, health


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
