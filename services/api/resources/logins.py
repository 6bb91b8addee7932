"""Logins to instances over HTTP."""

from __future__ import annotations

from falcon import Request, Response

from services.api import schemas
from services.api.actions import logins, operations
from services.api.http import Context
from services.api.idempotency import Answer, once
from services.api.schemas import shown
from services.api.serving import serves
from services.api.store import views
from shared.db import Tx


class InstanceAccess:
    """`/v1/instances/{id}/access` and `/v1/instances/{id}/access/{id}`; an administrator's right."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="admin", takes=schemas.AccessOpen, gives=shown.OperationBrief, status=202, conflicts=True)
    def on_post(self, request: Request, response: Response, instance_id: str) -> None:
        """Let a key log in to an instance for a while.

        The operation's `result` says where: host, port, user, host_keys (one of them is shown there), expires_at, and
        the host to go through, if any.
        """
        who, asked = request.context.caller, request.context.asked

        def work(tx: Tx) -> Answer:
            operation_id = logins.open_access(tx, who, instance_id, asked)
            return self._answer(tx, who.project_id, operation_id)

        once(self._context, request, response, work)

    @serves(role="admin", gives=shown.OperationBrief, status=202)
    def on_delete_one(self, request: Request, response: Response, instance_id: str, access_id: str) -> None:
        """Shut out the key that an operation let in; sessions that are open go on."""
        who = request.context.caller
        with self._context.database.write() as tx:
            operation_id = logins.close_access(tx, who, instance_id, access_id)
            response.status, response.media, location = self._answer(tx, who.project_id, operation_id)
        response.set_header("Location", location)

    def _answer(self, tx: Tx, project_id: str, operation_id: str) -> Answer:
        row = operations.operation(tx.connection, project_id, operation_id)
        return 202, views.operation_without_steps(row), f"/v1/operations/{operation_id}"
