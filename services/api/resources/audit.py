"""The audit over HTTP."""

from __future__ import annotations

from falcon import Request, Response
from sqlalchemy import select

from services.api.http import Context, next_url
from services.api.schemas import operating, queries
from services.api.serving import serves
from services.api.store import tables, views


class Audit:
    """`/v1/audit`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="admin", query=queries.AuditPage, gives=operating.Audit)
    def on_get(self, request: Request, response: Response) -> None:
        """A page of who did what, newest first: every change, also those refused, and every login that was read."""
        asked, t = request.context.query, tables.audit
        query = select(t).order_by(t.c.id.desc()).limit(asked["limit"] + 1)
        for column, wanted in ((t.c.project_id, asked["project"]), (t.c.request_id, asked["request"])):
            query = query.where(column == wanted) if wanted else query
        if asked["marker"]:
            query = query.where(t.c.id < asked["marker"])
        with self._context.database.read() as connection:
            rows = connection.execute(query).all()
        page = rows[: asked["limit"]]
        following = str(page[-1].id) if len(rows) > len(page) else None
        response.media = {
            "audit": [
                {"id": row.id, "at": views.stamp(row.at), "user": row.user, "token": row.token_id, "project": row.project_id,
                 "address": row.address, "request": row.request_id, "action": row.action, "subject": row.subject,
                 "status": row.status}
                for row in page
            ],
            "next": next_url(request, asked["limit"], following),
        }  # fmt: skip
