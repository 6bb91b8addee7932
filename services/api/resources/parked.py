"""Parked messages over HTTP; an administrator's business."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response
from sqlalchemy import Row, select

from services.api.actions import parked
from services.api.domain.masking import masked, masked_data
from services.api.http import Context, next_url
from services.api.idempotency import Answer, once
from services.api.resources.clusters import unknown_marker
from services.api.schemas import operating, queries
from services.api.serving import action, serves
from services.api.store import pages, tables, views
from shared.db import Tx


class Parked:
    """`/v1/parked`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="admin", query=queries.ParkedPage, gives=operating.ParkedMessages)
    def on_get(self, request: Request, response: Response) -> None:
        """A page of the messages that were refused or failed too often, newest first, each with its reason.

        What their bodies call token or password is shown as `***`.
        """
        asked, t = request.context.query, tables.parked
        query = select(t).where(t.c.service == asked["service"]) if asked["service"] else select(t)
        with self._context.database.read() as connection:
            found = pages.page(connection, t, query, asked["marker"], asked["limit"])
        if found is None:
            raise unknown_marker()
        response.media = {
            "parked": [_shown(row) for row in found.rows],
            "next": next_url(request, asked["limit"], found.following),
        }


class ParkedMessage:
    """`/v1/parked/{id}` and `/v1/parked/{id}/replay`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @action(role="admin", gives=operating.Replayed, status=202, conflicts=True)
    def on_post_replay(self, request: Request, response: Response, message_id: str) -> None:
        """Send a message back to its queue, after its cause was mended."""

        def work(tx: Tx) -> Answer:
            parked.replay(tx, message_id)
            return 202, {"id": message_id}, ""

        once(self._context, request, response, work)

    @serves(role="admin", status=204)
    def on_delete(self, request: Request, response: Response, message_id: str) -> None:
        """Forget a message for good."""
        with self._context.database.write() as tx:
            parked.drop(tx, message_id)


def _shown(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id, "service": row.service, "queue": row.queue, "topic": row.topic, "reason": row.reason,
        "body": masked(row.body.reveal().encode("latin-1")), "headers": masked_data(row.headers),
        "parked_at": views.stamp(row.created_at),
    }  # fmt: skip
