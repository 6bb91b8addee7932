"""The last day of a cluster: what was measured of its nodes, as lines."""

from __future__ import annotations

from falcon import Request, Response

from services.api.web import plots
from services.api.web.console import Console, asks


class LastDay:
    """`/clusters/{id}/day`. A sample comes every ten minutes: the page is as it was when it was asked for."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """Load, disk, lag, connections and operations, each with a line for each node."""
        asking = asks(request)
        cluster = asking.get(f"/v1/clusters/{cluster_id}")
        nodes = asking.get(f"/v1/clusters/{cluster_id}/samples")["nodes"]
        drawn = plots.drawn(nodes, self._console.clock.now())
        self._console.pages.show(request, response, "day.html", cluster=cluster, plots=drawn)
