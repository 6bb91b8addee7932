"""Instances over HTTP."""

from __future__ import annotations

from falcon import Request, Response

from services.api import schemas
from services.api.actions import clusters, operations
from services.api.http import Context
from services.api.idempotency import Answer, once
from services.api.schemas import shown
from services.api.serving import serves
from services.api.store import views
from shared.db import Tx


class Instance:
    """`/v1/instances/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=shown.Instance)
    def on_get(self, request: Request, response: Response, instance_id: str) -> None:
        """One instance."""
        with self._context.database.read() as connection:
            row = clusters.instance(connection, request.context.caller.project_id, instance_id)
            response.media = views.instance(row)


class Perform:
    """`/v1/instances/{id}/perform`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="admin", takes=schemas.Perform, gives=shown.OperationBrief, status=202, conflicts=True)
    def on_post(self, request: Request, response: Response, instance_id: str) -> None:
        """Run commands on an instance; an administrator's right."""
        project_id, asked = request.context.caller.project_id, request.context.asked

        def work(tx: Tx) -> Answer:
            operation_id = clusters.perform(tx, project_id, instance_id, asked)
            row = operations.operation(tx.connection, project_id, operation_id)
            return 202, views.operation_without_steps(row), f"/v1/operations/{operation_id}"

        once(self._context, request, response, work)
