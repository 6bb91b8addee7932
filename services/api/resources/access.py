"""Tokens, projects and quotas over HTTP."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response
from sqlalchemy import Connection, select

from services.api import schemas
from services.api.actions import access, quotas
from services.api.http import Context, next_url
from services.api.idempotency import Answer, once
from services.api.resources.clusters import unknown_marker
from services.api.schemas import operating, queries
from services.api.serving import serves
from services.api.store import pages, tables, views
from shared.db import Tx
from shared.errors import NotFound


class Tokens:
    """`/v1/tokens` and `/v1/tokens/{id}`; an administrator's business."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="admin", query=queries.Page, gives=operating.Tokens)
    def on_get(self, request: Request, response: Response) -> None:
        """A page of all projects' tokens, newest first, without what they open."""
        asked, t = request.context.query, tables.tokens
        with self._context.database.read() as connection:
            found = pages.page(connection, t, select(t), asked["marker"], asked["limit"])
        if found is None:
            raise unknown_marker()
        shown_now = [views.token(row) for row in found.rows]
        response.media = {"tokens": shown_now, "next": next_url(request, asked["limit"], found.following)}

    @serves(role="admin", takes=schemas.TokenCreate, gives=operating.NewToken, status=201)
    def on_post(self, request: Request, response: Response) -> None:
        """Make a token; it is shown this once."""

        def work(tx: Tx) -> Answer:
            token_id, token = access.create_token(tx, request.context.asked)
            row = tx.connection.execute(select(tables.tokens).where(tables.tokens.c.id == token_id)).one()
            return 201, views.token(row) | {"token": token}, ""

        once(self._context, request, response, work)

    @serves(role="admin", status=204)
    def on_delete_one(self, request: Request, response: Response, token_id: str) -> None:
        """Revoke a token, at once here, within a second on other replicas."""
        with self._context.database.write() as tx:
            access.revoke_token(tx, token_id)
        self._context.callers.forget()


class Projects:
    """`/v1/projects` and `/v1/projects/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=queries.Page, gives=operating.Projects)
    def on_get(self, request: Request, response: Response) -> None:
        """A page of all projects for an administrator; for others their own."""
        who, asked, t = request.context.caller, request.context.query, tables.projects
        query = select(t) if who.role == "admin" else select(t).where(t.c.id == who.project_id)
        with self._context.database.read() as connection:
            found = pages.page(connection, t, query, asked["marker"], asked["limit"])
        if found is None:
            raise unknown_marker()
        shown_now = [views.project(row) for row in found.rows]
        response.media = {"projects": shown_now, "next": next_url(request, asked["limit"], found.following)}

    @serves(role="admin", takes=schemas.ProjectCreate, gives=operating.Project, status=201, conflicts=True)
    def on_post(self, request: Request, response: Response) -> None:
        """Make a project."""

        def work(tx: Tx) -> Answer:
            project_id = access.create_project(tx, request.context.asked["name"])
            return 201, {"id": project_id, "name": request.context.asked["name"]}, ""

        once(self._context, request, response, work)

    @serves(role="admin", status=204, conflicts=True)
    def on_delete_one(self, request: Request, response: Response, project_id: str) -> None:
        """Delete a project that has no clusters, and its tokens with it, and what it has lent."""
        with self._context.database.write() as tx:
            access.delete_project(tx, project_id)
            # Within: a project that is gone could not be asked to take it back any more.
            self._context.provisioner.call("withdraw_delegation", project_id)
        self._context.callers.forget()


class Quotas:
    """`/v1/projects/{id}/quotas`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=operating.Quotas)
    def on_get(self, request: Request, response: Response, project_id: str) -> None:
        """A project's limits, and what it uses; one's own, or any for an administrator."""
        who = request.context.caller
        if who.role != "admin" and project_id != who.project_id:
            raise NotFound(f"there is no project {project_id}")
        with self._context.database.read() as connection:
            response.media = _quotas(connection, project_id)

    @serves(role="admin", takes=schemas.QuotasPut, gives=operating.Quotas)
    def on_put(self, request: Request, response: Response, project_id: str) -> None:
        """Set a project's limits; what is left out has none."""
        with self._context.database.write() as tx:
            quotas.put(tx, project_id, request.context.asked)
            response.media = _quotas(tx.connection, project_id)


def _quotas(connection: Connection, project_id: str) -> dict[str, Any]:
    p = tables.projects
    if connection.execute(select(p.c.id).where(p.c.id == project_id)).first() is None:
        raise NotFound(f"there is no project {project_id}")
    return {"limits": quotas.limits(connection, project_id), "used": quotas.used(connection, project_id)}
