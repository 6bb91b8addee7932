"""Backups over HTTP."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response

from services.api import schemas
from services.api.actions import backups, clusters, proving
from services.api.http import Context, next_url
from services.api.idempotency import Answer, give, once
from services.api.resources.clusters import unknown_marker
from services.api.schemas import backups as shown
from services.api.schemas import queries
from services.api.serving import serves
from services.api.store import archives, backup_views, pages, tables
from services.api.wishes import accepted
from shared.db import Tx


class ClusterBackups:
    """`/v1/clusters/{id}/backups`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=queries.Page, gives=shown.ClusterBackups)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """A page of the cluster's backups, newest first, and the moments that can be restored from all of them."""
        with self._context.database.read() as connection:
            clusters.get(connection, request.context.caller.project_id, cluster_id)
            restorable = archives.restorable(connection, cluster_id)
        _page(self._context, request, response, cluster=cluster_id)
        response.media["restorable"] = restorable

    @serves(role="member", takes=schemas.BackupCreate, gives=shown.BackupChange, status=202, conflicts=True)
    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Back up now."""
        asked, project_id = request.context.asked, request.context.caller.project_id

        def work(tx: Tx) -> Answer:
            backup_id, operation_id = backups.request(tx, project_id, cluster_id, asked)
            return _begun(tx, project_id, backup_id, operation_id)

        once(self._context, request, response, work)


class Backups:
    """`/v1/backups` and `/v1/backups/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=queries.BackupPage, gives=shown.Backups)
    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's backups, newest first, also of those whose cluster is gone."""
        asked = request.context.query
        _page(self._context, request, response, cluster=asked["cluster"], status=asked["status"],
              deleted_clusters=asked["deleted_clusters"])  # fmt: skip

    @serves(gives=shown.Backup)
    def on_get_one(self, request: Request, response: Response, backup_id: str) -> None:
        """One backup."""
        with self._context.database.read() as connection:
            row = backups.get(connection, request.context.caller.project_id, backup_id)
            (response.media,) = backup_views.backups(connection, [row])

    @serves(role="member", gives=shown.BackupChange, status=202, conflicts=True)
    def on_delete_one(self, request: Request, response: Response, backup_id: str) -> None:
        """Delete it, whether its cluster is there or not."""
        project_id = request.context.caller.project_id
        with self._context.database.write() as tx:
            operation_id = backups.delete(tx, project_id, backup_id)
            answer = _begun(tx, project_id, backup_id, operation_id)
        give(self._context, request, response, answer)

    @serves(role="member", takes=schemas.BackupVerify, gives=shown.BackupChange, status=202, conflicts=True)
    def on_post_verify(self, request: Request, response: Response, backup_id: str) -> None:
        """Restore it to a server of its own, look at what is there, and have the server gone again."""
        asked, project_id = request.context.asked, request.context.caller.project_id

        def work(tx: Tx) -> Answer:
            operation_id = proving.request(tx, project_id, backup_id, asked)
            return _begun(tx, project_id, backup_id, operation_id)

        once(self._context, request, response, work)


def _page(context: Context, request: Request, response: Response, **wanted: Any) -> None:
    asked = request.context.query
    query = backup_views.query(request.context.caller.project_id, **wanted)
    with context.database.read() as connection:
        found = pages.page(connection, tables.backups, query, asked["marker"], asked["limit"])
        if found is None:
            raise unknown_marker()
        there = backup_views.backups(connection, found.rows)
    response.media = {"backups": there, "next": next_url(request, asked["limit"], found.following)}


def _begun(tx: Tx, project_id: str, backup_id: str, operation_id: str) -> Answer:
    (backup,) = backup_views.backups(tx.connection, [backups.get(tx.connection, project_id, backup_id)])
    return accepted(tx, project_id, operation_id, {"backup": backup})
