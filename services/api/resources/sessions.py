"""Sessions over HTTP: who asks, and a secret of his own for a browser."""

from __future__ import annotations

from falcon import Request, Response
from sqlalchemy import select

from services.api import schemas
from services.api.actions import sessions
from services.api.http import Context
from services.api.idempotency import Answer, once
from services.api.schemas import operating
from services.api.serving import serves
from services.api.store import tables, views
from shared.db import Tx
from shared.errors import Unauthorized


class Session:
    """`/v1/session`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=operating.WhoAsks)
    def on_get(self, request: Request, response: Response) -> None:
        """Who asks: the user or the token's name, project and role, and the session by which it is done."""
        who, p, s = request.context.caller, tables.projects, tables.sessions
        with self._context.database.read() as connection:
            project = connection.execute(select(p).where(p.c.id == who.project_id)).first()
            expires_at = connection.execute(select(s.c.expires_at).where(s.c.id == who.session)).scalar()
        if project is None:
            raise Unauthorized("the project is gone", what_to_do="ask an administrator for a token of another one")
        response.media = {"user": who.user, "project": views.project(project), "role": who.role,
                          "session": who.session or None, "expires_at": views.stamp(expires_at)}  # fmt: skip

    @serves(takes=schemas.SessionCreate, gives=operating.NewSession, status=201)
    def on_post(self, request: Request, response: Response) -> None:
        """Make a session for who asks; what opens it is shown this once, and is sent as a token is.

        With `once` it opens nothing, and is to be exchanged for a session, by asking this with it, within ten minutes.
        """
        asked, who, credential = request.context.asked, request.context.caller, request.context.credential

        def work(tx: Tx) -> Answer:
            made = sessions.begin(tx, who, credential, self._context.session_lasts, once=asked["once"])
            return (
                201,
                {"id": made.id, "token": made.secret, "once": made.once, "expires_at": views.stamp(made.expires_at)},
                "",
            )

        once(self._context, request, response, work)
        if who.once:
            self._context.callers.forget()

    @serves(status=204, conflicts=True)
    def on_delete(self, request: Request, response: Response) -> None:
        """End the session that asks, at once here, within a second on other replicas."""
        with self._context.database.write() as tx:
            sessions.end(tx, request.context.caller)
        self._context.callers.forget()
