"""Imports over HTTP."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response

from services.api.actions import clusters, imports
from services.api.http import Context, next_url
from services.api.idempotency import Answer
from services.api.resources.clusters import unknown_marker
from services.api.schemas import imports as shown
from services.api.schemas import queries
from services.api.serving import serves
from services.api.store import import_views, pages, tables
from services.api.wishes import accepted, plan_or_begin
from shared.db import Tx


class ClusterImports:
    """`/v1/clusters/{id}/imports`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=queries.Page, gives=shown.Imports)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """A page of the cluster's imports, newest first."""
        with self._context.database.read() as connection:
            clusters.get(connection, request.context.caller.project_id, cluster_id)
        _page(self._context, request, response, cluster=cluster_id)

    @serves(role="member", takes=shown.ImportCreate, query=queries.Plan, gives=shown.ImportChange, status=202,
            also={200: shown.ImportPlan}, conflicts=True)  # fmt: skip
    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Have what an export has in this cluster; with `?plan=true` see what that is, and what is in the way."""
        asked, project_id = request.context.asked, request.context.caller.project_id

        def begin(tx: Tx) -> Answer:
            import_id, operation_id = imports.request(tx, project_id, cluster_id, asked)
            found = import_views.shown(imports.get(tx.connection, project_id, import_id))
            return accepted(tx, project_id, operation_id, {"import": found})

        plan_or_begin(self._context, request, response, "plan_import",
                      lambda connection: imports.plan_of(connection, project_id, cluster_id, asked), begin)  # fmt: skip


class Imports:
    """`/v1/imports` and `/v1/imports/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=shown.ImportPage, gives=shown.Imports)
    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's imports, newest first, also of those whose cluster is gone."""
        asked = request.context.query
        _page(self._context, request, response, cluster=asked["cluster"], status=asked["status"])

    @serves(gives=shown.Import)
    def on_get_one(self, request: Request, response: Response, import_id: str) -> None:
        """One import, with what has come in."""
        with self._context.database.read() as connection:
            row = imports.get(connection, request.context.caller.project_id, import_id)
        response.media = import_views.shown(row)


def _page(context: Context, request: Request, response: Response, **wanted: Any) -> None:
    asked = request.context.query
    query = import_views.query(request.context.caller.project_id, **wanted)
    with context.database.read() as connection:
        found = pages.page(connection, tables.imports, query, asked["marker"], asked["limit"])
    if found is None:
        raise unknown_marker()
    there = [import_views.shown(row, briefly=True) for row in found.rows]
    response.media = {"imports": there, "next": next_url(request, asked["limit"], found.following)}
