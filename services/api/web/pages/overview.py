"""The first page: what there is, what is wrong, and what is under way."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from falcon import Request, Response

from services.api.web.console import Console, asks
from services.api.web.pages.looking import trouble, with_health
from services.api.web.words import DONE

CLUSTERS, OPERATIONS = 20, 50
# A failed operation is news for so long.
NEWS = timedelta(days=1)


class Overview:
    """`/`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """Clusters with their states, health and its age; alerts; running operations."""
        asking = asks(request)
        page = asking.get("/v1/clusters", limit=CLUSTERS)
        clusters = with_health(asking, page["clusters"])
        operations = asking.get("/v1/operations", limit=OPERATIONS)["operations"]
        names = {one["id"]: one["name"] for one in clusters}
        self._console.pages.live(
            request, response, "overview.html", "parts/overview.html", clusters=clusters, more=page["next"] is not None,
            names=names, states=sorted(Counter(one["status"] for one in clusters).items()),
            alerts=[(one, words) for one in clusters if (words := trouble(one))],
            running=[one for one in operations if one["status"] not in DONE],
            failed=[one for one in operations if self._is_news(one)],
        )  # fmt: skip

    def _is_news(self, operation: dict[str, Any]) -> bool:
        if operation["status"] != "failed":
            return False
        ended = operation["finished_at"] or operation["created_at"]
        return self._console.clock.now() - datetime.fromisoformat(ended) < NEWS
