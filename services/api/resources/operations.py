"""Operations over HTTP, with server-sent events for those who follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from falcon import Request, Response
from sqlalchemy import select

from services.api.actions import operations, steering
from services.api.following import Stream, message
from services.api.http import Context, next_url
from services.api.idempotency import Answer, once
from services.api.resources.clusters import unknown_marker
from services.api.schemas import queries, shown
from services.api.serving import EVENT_STREAM, action, serves
from services.api.store import pages, tables, views
from shared.db import Tx


class Operations:
    """`/v1/operations`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=queries.OperationPage, gives=shown.Operations)
    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's operations, newest first."""
        asked, project_id = request.context.query, request.context.caller.project_id
        t = tables.operations
        query = select(t).where(t.c.project_id == project_id)
        if asked["cluster"]:
            query = query.where(t.c.cluster_id == asked["cluster"])
        with self._context.database.read() as connection:
            found = pages.page(connection, t, query, asked["marker"], asked["limit"])
        if found is None:
            raise unknown_marker()
        shown_now = [views.operation_without_steps(row) for row in found.rows]
        response.media = {"operations": shown_now, "next": next_url(request, asked["limit"], found.following)}


class Operation:
    """`/v1/operations/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=queries.Follow, gives=shown.Operation, media=(EVENT_STREAM,))
    def on_get(self, request: Request, response: Response, operation_id: str) -> None:
        """One operation with its steps; with `?follow=true` each change as a server-sent event until its end."""
        project_id = request.context.caller.project_id
        found = self._look(project_id, operation_id)
        if not request.context.query["follow"]:
            response.media = found
            return
        last: list[Any] = [None]

        def look() -> tuple[list[bytes], bool]:
            now = self._look(project_id, operation_id)
            messages = [] if now == last[0] else [message("operation", now)]
            last[0] = now
            return messages, now["status"] in views.DONE

        Stream(self._context, request.context.credential, operation_id, look).answer(response)

    def _look(self, project_id: str, operation_id: str) -> dict[str, Any]:
        with self._context.database.read() as connection:
            row = operations.operation(connection, project_id, operation_id)
            return views.operation(connection, row)


class Transcript:
    """`/v1/operations/{id}/transcript`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=shown.Transcript)
    def on_get(self, request: Request, response: Response, operation_id: str) -> None:
        """The redacted commands that ran."""
        t = tables.transcript
        with self._context.database.read() as connection:
            operations.operation(connection, request.context.caller.project_id, operation_id)
            rows = connection.execute(select(t.c.entry).where(t.c.operation_id == operation_id).order_by(t.c.sequence))
            response.media = {"transcript": [row.entry for row in rows]}


class Cancel:
    """`/v1/operations/{id}/cancel`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @action(role="member", gives=shown.OperationBrief, status=202, conflicts=True)
    def on_post(self, request: Request, response: Response, operation_id: str) -> None:
        """Stop the operation and undo what it did."""
        _act(self._context, request, response, operation_id, steering.cancel)


class Retry:
    """`/v1/operations/{id}/retry`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @action(role="member", gives=shown.OperationBrief, status=202, conflicts=True)
    def on_post(self, request: Request, response: Response, operation_id: str) -> None:
        """Go on from the step that failed."""
        _act(self._context, request, response, operation_id, steering.retry)


def _act(
    context: Context, request: Request, response: Response, operation_id: str, act: Callable[[Tx, str, str], None]
) -> None:
    project_id = request.context.caller.project_id

    def work(tx: Tx) -> Answer:
        act(tx, project_id, operation_id)
        row = operations.operation(tx.connection, project_id, operation_id)
        return 202, views.operation_without_steps(row), f"/v1/operations/{operation_id}"

    once(context, request, response, work)
