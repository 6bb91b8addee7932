"""Operations: the list, one as it goes on, what exactly ran, and a way to stop or to retry it."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response

from services.api.web.console import Console, asks, go, query
from services.api.web.live import message, stream
from services.api.web.visits import Visit
from services.api.web.words import DONE

PER_PAGE = 30


class Operations:
    """`/operations`."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's operations, all or those of one cluster, newest first."""
        asking, cluster = asks(request), request.get_param("cluster", default="")
        page = asking.get(
            "/v1/operations", limit=PER_PAGE, cluster=cluster, marker=request.get_param("marker", default="")
        )
        self._console.pages.live(
            request, response, "operations.html", "parts/operations.html", operations=page["operations"],
            following=query(page["next"]), cluster=cluster,
        )  # fmt: skip


class Operation:
    """`/operations/{id}` and what is done there."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_get(self, request: Request, response: Response, operation_id: str) -> None:
        """Its steps, its problem, its output."""
        operation = asks(request).get(f"/v1/operations/{operation_id}")
        self._console.pages.show(request, response, "operation.html", operation=operation)

    def on_get_live(self, request: Request, response: Response, operation_id: str) -> None:
        """The same as it goes on, until its end."""
        visit: Visit = request.context.visit
        events = visit.asking.follow(f"/v1/operations/{operation_id}")
        pages, who = self._console.pages, visit.who

        def turn(operation: Any, _place: str) -> tuple[bytes, bool]:
            html = pages.text("parts/operation.html", operation=operation, who=who, csrf=visit.csrf)
            return message("operation", html), operation["status"] in DONE

        stream(response, events, turn)

    def on_get_transcript(self, request: Request, response: Response, operation_id: str) -> None:
        """The commands that ran, without secrets."""
        asking = asks(request)
        operation = asking.get(f"/v1/operations/{operation_id}")
        transcript = asking.get(f"/v1/operations/{operation_id}/transcript")["transcript"]
        self._console.pages.show(request, response, "transcript.html", operation=operation, transcript=transcript)

    def on_post_cancel(self, request: Request, response: Response, operation_id: str) -> None:
        """Stop it, and undo what it did."""
        self._act(request, response, operation_id, "cancel")

    def on_post_retry(self, request: Request, response: Response, operation_id: str) -> None:
        """Go on from the step that failed."""
        self._act(request, response, operation_id, "retry")

    def _act(self, request: Request, response: Response, operation_id: str, what: str) -> None:
        asks(request).send("POST", f"/v1/operations/{operation_id}/{what}")
        go(response, f"/operations/{operation_id}")
