"""The feed of a project's events over HTTP."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response
from sqlalchemy import select

from services.api.following import Stream, message
from services.api.http import Context
from services.api.schemas import queries, shown
from services.api.serving import EVENT_STREAM, serves
from services.api.store import tables, views
from shared.errors import FieldError, Invalid

BATCH = 100


class Events:
    """`/v1/events`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=queries.EventPage, gives=shown.Events, media=(EVENT_STREAM,))
    def on_get(self, request: Request, response: Response) -> None:
        """The project's events after `since`, oldest first, or with `?latest=` the last ones; with `?follow=true` as server-sent events.

        A stream is resumed after the header `Last-Event-ID`.
        """
        asked, project_id = request.context.query, request.context.caller.project_id
        latest, limit = asked["latest"], asked["latest"] or asked["limit"]
        since = _last_event_id(request) or (self._before(project_id, latest) if latest else asked["since"])
        if not asked["follow"]:
            found = self._after(project_id, since, limit + 1)
            shown_now, more = found[:limit], len(found) > limit
            following = f"/v1/events?since={shown_now[-1]['id']}&limit={asked['limit']}" if more else None
            response.media = {"events": shown_now, "next": following}
            return
        place = [since]

        def look() -> tuple[list[bytes], bool]:
            messages = []
            while found := self._after(project_id, place[0], BATCH):
                messages += [message(one["type"], one, one["id"]) for one in found]
                place[0] = found[-1]["id"]
            return messages, False

        Stream(self._context, request.context.credential, project_id, look).answer(response)

    def _before(self, project_id: str, latest: int) -> int:
        """The id of the event that comes before the last so many; 0 where there are no more than these."""
        t = tables.events
        query = select(t.c.id).where(t.c.project_id == project_id).order_by(t.c.id.desc()).offset(latest).limit(1)
        with self._context.database.read() as connection:
            return connection.execute(query).scalar() or 0

    def _after(self, project_id: str, since: int, limit: int) -> list[dict[str, Any]]:
        t = tables.events
        query = select(t).where(t.c.project_id == project_id, t.c.id > since).order_by(t.c.id).limit(limit)
        with self._context.database.read() as connection:
            return [views.event(row) for row in connection.execute(query)]


def _last_event_id(request: Request) -> int:
    raw = request.get_header("Last-Event-ID") or "0"
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 18):
        raise Invalid("the stream cannot be resumed", (FieldError("Last-Event-ID", "must be the id of an event"),))
    return int(raw)
