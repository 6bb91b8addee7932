"""Imports: what has come into clusters, or is on its way. One is begun as every change of a cluster is, by `changes`."""

from __future__ import annotations

from falcon import Request, Response

from services.api.web.console import Console, asks, query

PER_PAGE = 30


class Imports:
    """`/imports` and `/imports/{id}`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's imports, all or those of one cluster, also of clusters that are gone."""
        cluster = request.get_param("cluster", default="")
        page = asks(request).get(
            "/v1/imports", limit=PER_PAGE, cluster=cluster, marker=request.get_param("marker", default="")
        )
        self._console.pages.live(
            request, response, "imports.html", "parts/imports.html", imports=page["imports"], following=query(page["next"]),
            cluster=cluster,
        )  # fmt: skip

    def on_get_one(self, request: Request, response: Response, import_id: str) -> None:
        """One, as it goes on, and what has come in."""
        found = asks(request).get(f"/v1/imports/{import_id}")
        self._console.pages.live(request, response, "import.html", "parts/import.html", taken=found)
