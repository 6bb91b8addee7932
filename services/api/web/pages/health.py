"""How a cluster is: each node with what its witnesses say, how old that is, and how it has changed."""

from __future__ import annotations

from falcon import Request, Response

from services.api.web.console import Console, asks


class Health:
    """`/clusters/{id}/health`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """Verdicts, evidence, facts, ages; the archive of the log; the history."""
        asking = asks(request)
        cluster = asking.get(f"/v1/clusters/{cluster_id}")
        report = asking.get(f"/v1/clusters/{cluster_id}/health")
        self._console.pages.live(request, response, "health.html", "parts/health.html", cluster=cluster, **report)
