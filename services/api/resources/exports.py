"""Exports over HTTP."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response

from services.api.actions import audit, clusters, exports
from services.api.http import Context, next_url
from services.api.idempotency import Answer, give, once
from services.api.resources.clusters import unknown_marker
from services.api.schemas import exports as shown
from services.api.schemas import queries
from services.api.serving import serves
from services.api.store import export_views, pages, tables
from services.api.wishes import accepted
from shared.contracts.exports import key_file
from shared.db import Tx
from shared.errors import Conflict


class ClusterExports:
    """`/v1/clusters/{id}/exports`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=queries.Page, gives=shown.Exports)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """A page of the cluster's exports, newest first."""
        with self._context.database.read() as connection:
            clusters.get(connection, request.context.caller.project_id, cluster_id)
        _page(self._context, request, response, cluster=cluster_id)

    @serves(role="member", takes=shown.ExportCreate, gives=shown.ExportChange, status=202, conflicts=True)
    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Export data in a form that the engine's own tools read without DTrove."""
        asked, project_id = request.context.asked, request.context.caller.project_id

        def work(tx: Tx) -> Answer:
            export_id, operation_id = exports.request(tx, project_id, cluster_id, asked)
            return _begun(tx, project_id, export_id, operation_id)

        once(self._context, request, response, work)


class Exports:
    """`/v1/exports` and `/v1/exports/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=shown.ExportPage, gives=shown.Exports)
    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's exports, newest first, also of those whose cluster is gone."""
        asked = request.context.query
        _page(self._context, request, response, cluster=asked["cluster"], status=asked["status"],
              deleted_clusters=asked["deleted_clusters"])  # fmt: skip

    @serves(gives=shown.Export)
    def on_get_one(self, request: Request, response: Response, export_id: str) -> None:
        """One export, with what is in it, and how it is restored without DTrove."""
        with self._context.database.read() as connection:
            row = exports.get(connection, request.context.caller.project_id, export_id)
        response.media = export_views.export(row)

    @serves(role="member", gives=shown.ExportChange, status=202, conflicts=True)
    def on_delete_one(self, request: Request, response: Response, export_id: str) -> None:
        """Delete it, whether its cluster is there or not."""
        project_id = request.context.caller.project_id
        with self._context.database.write() as tx:
            operation_id = exports.delete(tx, project_id, export_id)
            answer = _begun(tx, project_id, export_id, operation_id)
        give(self._context, request, response, answer)

    @serves(role="member", gives=shown.ExportKey, conflicts=True)
    def on_get_key(self, request: Request, response: Response, export_id: str) -> None:
        """What opens it; that it was read is written down."""
        who = request.context.caller
        with self._context.database.read() as connection:
            row = exports.whole(connection, who.project_id, export_id)
        if not row.encrypted:
            raise Conflict("the export is not encrypted", what_to_do="read it as it is")
        sealed = self._context.databases.call("export_key", export_id)["sealed_key"]
        with self._context.database.write() as tx:
            audit.note(tx, who, "export_key.read", export_id)
        response.media = {"key": self._context.unseal(sealed), "file": key_file(row.facts["file"])}


def _page(context: Context, request: Request, response: Response, **wanted: Any) -> None:
    asked = request.context.query
    query = export_views.query(request.context.caller.project_id, **wanted)
    with context.database.read() as connection:
        found = pages.page(connection, tables.exports, query, asked["marker"], asked["limit"])
    if found is None:
        raise unknown_marker()
    there = [export_views.export(row, briefly=True) for row in found.rows]
    response.media = {"exports": there, "next": next_url(request, asked["limit"], found.following)}


def _begun(tx: Tx, project_id: str, export_id: str, operation_id: str) -> Answer:
    export = export_views.export(exports.get(tx.connection, project_id, export_id))
    return accepted(tx, project_id, operation_id, {"export": export})
