"""A node's log: its last lines, and what comes after them as it is written."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response
from markupsafe import escape

from services.api.web.console import Console, asks
from services.api.web.live import message, stream
from services.api.web.visits import Visit

LINES, LAST_PLACE = 200, "Last-Event-ID"


class Logs:
    """`/instances/{id}/logs`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, instance_id: str) -> None:
        """The page, which follows the log."""
        self._show(request, response, instance_id)

    def on_get_last(self, request: Request, response: Response, instance_id: str) -> None:
        """The last lines, once: without script nothing can be followed."""
        found = asks(request).get(f"/v1/instances/{instance_id}/logs", lines=LINES)
        self._show(request, response, instance_id, found)

    def on_get_live(self, request: Request, response: Response, instance_id: str) -> None:
        """The last lines and what comes after, for a browser that comes back what came since."""
        visit: Visit = request.context.visit
        place = request.get_header(LAST_PLACE) or ""
        events = visit.asking.follow(f"/v1/instances/{instance_id}/logs", place=place, lines=LINES)
        stream(response, events, _turn)

    def _show(self, request: Request, response: Response, instance_id: str, last: Any = None) -> None:
        asking = asks(request)
        node = asking.get(f"/v1/instances/{instance_id}")
        cluster = asking.get(f"/v1/clusters/{node['cluster']}")
        self._console.pages.show(request, response, "logs.html", node=node, cluster=cluster, last=last)


def _turn(carried: Any, place: str) -> tuple[bytes, bool]:
    """Lines as they are; what is to be said of them, and why they end, as notes."""
    if "lines" in carried:
        text = escape("\n".join(carried["lines"]))
        return message("lines", f"<div>{text}</div>", place), False
    if "message" in carried:
        return message("note", f"<p>{escape(carried['message'])}</p>", place), False
    problem = carried.get("problem")
    words = f"{problem['message']} {problem['what_to_do']}" if problem else "The log has come to its end."
    return message("note", f"<p>{escape(words)}</p>", place), True
