"""Operations and events over HTTP, with server-sent events for those who follow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from falcon import Request, Response
from sqlalchemy import select, tuple_

from services.api.actions import clusters
from services.api.http import Context, caller, next_url, page
from services.api.store import tables, views
from shared.errors import FieldError, Invalid

LOOK_SECONDS, FOLLOW_SECONDS, BEAT_SECONDS = 0.1, 3600.0, 15.0


class Operations:
    """`/v1/operations`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response) -> None:
        """The project's operations, newest first."""
        who = caller(request)
        limit, marker = page(request)
        t = tables.operations
        query = select(t).where(t.c.project_id == who.project_id)
        if cluster := request.get_param("cluster"):
            query = query.where(t.c.cluster_id == cluster)
        with self._context.database.read() as connection:
            if marker:
                last = clusters.operation(connection, who.project_id, marker)
                query = query.where(tuple_(t.c.created_at, t.c.id) < tuple_(last.created_at, last.id))
            rows = connection.execute(query.order_by(t.c.created_at.desc(), t.c.id.desc()).limit(limit)).all()
        shown = [views.operation_without_steps(row) for row in rows]
        response.media = {"operations": shown, "next": next_url(request, limit, list(rows))}


class Operation:
    """`/v1/operations/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response, operation_id: str) -> None:
        """One operation with its steps; with `?follow=true` each change as a server-sent event until its end."""
        who = caller(request)
        shown = self._look(who.project_id, operation_id)
        if not request.get_param_as_bool("follow"):
            response.media = shown
            return
        response.content_type = "text/event-stream"
        response.set_header("Cache-Control", "no-cache")
        response.stream = self._follow(who.project_id, operation_id)

    def _look(self, project_id: str, operation_id: str) -> dict[str, Any]:
        with self._context.database.read() as connection:
            row = clusters.operation(connection, project_id, operation_id)
            return views.operation(connection, row)

    def _follow(self, project_id: str, operation_id: str) -> Iterator[bytes]:
        clock = self._context.database.clock
        until, last, beat = clock.monotonic() + FOLLOW_SECONDS, "", clock.monotonic()
        while clock.monotonic() < until:
            shown = self._look(project_id, operation_id)
            text = json.dumps(shown)
            if text != last:
                last, beat = text, clock.monotonic()
                yield f"event: operation\ndata: {text}\n\n".encode()
                if shown["status"] in views.DONE:
                    return
            elif clock.monotonic() - beat > BEAT_SECONDS:
                beat = clock.monotonic()
                yield b": still here\n\n"
            clock.sleep(LOOK_SECONDS)


class Transcript:
    """`/v1/operations/{id}/transcript`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response, operation_id: str) -> None:
        """The redacted commands that ran."""
        who = caller(request)
        t = tables.transcript
        with self._context.database.read() as connection:
            clusters.operation(connection, who.project_id, operation_id)
            rows = connection.execute(select(t.c.entry).where(t.c.operation_id == operation_id).order_by(t.c.sequence))
            response.media = {"transcript": [row.entry for row in rows]}


class Cancel:
    """`/v1/operations/{id}/cancel`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_post(self, request: Request, response: Response, operation_id: str) -> None:
        """Stop the operation and undo it."""
        _act(self._context, request, response, operation_id, clusters.cancel)


class Retry:
    """`/v1/operations/{id}/retry`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_post(self, request: Request, response: Response, operation_id: str) -> None:
        """Go on from the step that failed."""
        _act(self._context, request, response, operation_id, clusters.retry)


class Events:
    """`/v1/events`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response) -> None:
        """The project's events after `since`; with `?follow=true` as server-sent events, resumable by Last-Event-ID."""
        who = caller(request)
        limit, _ = page(request)
        raw = request.get_header("Last-Event-ID") or request.get_param("since") or "0"
        if not raw.isdigit() or len(raw) > 18:
            raise Invalid("the page is not valid", (FieldError("since", "must be the id of an event"),))
        if not request.get_param_as_bool("follow"):
            found = self._after(who.project_id, int(raw), limit)
            response.media = {"events": found, "next": f"/v1/events?since={found[-1]['id']}" if found else None}
            return
        response.content_type = "text/event-stream"
        response.set_header("Cache-Control", "no-cache")
        response.stream = self._follow(who.project_id, int(raw))

    def _after(self, project_id: str, since: int, limit: int) -> list[dict[str, Any]]:
        t = tables.events
        query = select(t).where(t.c.project_id == project_id, t.c.id > since).order_by(t.c.id).limit(limit)
        with self._context.database.read() as connection:
            return [views.event(row) for row in connection.execute(query)]

    def _follow(self, project_id: str, since: int) -> Iterator[bytes]:
        clock = self._context.database.clock
        until, beat = clock.monotonic() + FOLLOW_SECONDS, clock.monotonic()
        while clock.monotonic() < until:
            for event in self._after(project_id, since, 100):
                since, beat = event["id"], clock.monotonic()
                yield f"id: {since}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            if clock.monotonic() - beat > BEAT_SECONDS:
                beat = clock.monotonic()
                yield b": still here\n\n"
            clock.sleep(LOOK_SECONDS)


def _act(context: Context, request: Request, response: Response, operation_id: str, action: Any) -> None:
    who = caller(request, "member")
    with context.database.write() as tx:
        action(tx, who.project_id, operation_id)
        row = clusters.operation(tx.connection, who.project_id, operation_id)
        response.media = views.operation_without_steps(row)
    response.status = 202
    response.set_header("Location", f"/v1/operations/{operation_id}")
