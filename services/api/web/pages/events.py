"""What happens in a project, as it happens."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response

from services.api.web.console import Console, asks
from services.api.web.live import message, stream
from services.api.web.visits import Visit

LATEST, LAST_PLACE = 25, "Last-Event-ID"


class Events:
    """`/events`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """The latest ones, the newest first, and those that come."""
        found = asks(request).get("/v1/events", latest=LATEST)["events"]
        known = found[-1]["id"] if found else 0
        self._console.pages.show(request, response, "events.html", events=found[::-1], known=known)

    def on_get_live(self, request: Request, response: Response) -> None:
        """Each that comes after `?since=`, for a browser that comes back after the last one that it had."""
        visit: Visit = request.context.visit
        pages, place = self._console.pages, request.get_header(LAST_PLACE) or ""
        events = visit.asking.follow("/v1/events", place=place, since=request.get_param("since") or "0")

        def turn(event: Any, at: str) -> tuple[bytes, bool]:
            return message("happened", pages.text("parts/event.html", event=event), at), False

        stream(response, events, turn)
