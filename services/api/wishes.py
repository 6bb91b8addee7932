"""A change that takes time: shown before with `?plan=true`, or begun as an operation, once for each Idempotency-Key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from falcon import Request, Response
from sqlalchemy import Connection

from services.api.actions import operations
from services.api.http import Context
from services.api.idempotency import Answer, once
from services.api.store import views
from shared.db import Tx


def plan_or_begin(
    context: Context, request: Request, response: Response, method: str, spec: Callable[[Connection], Any],
    begin: Callable[[Tx], Answer],
) -> None:  # fmt: skip
    """Answer with what `method` of datastore_agentless makes of `spec`, or with what is begun; see `accepted`."""
    if request.context.query.get("plan"):
        with context.database.read() as connection:
            wanted = spec(connection)
        response.status, response.media = 200, {"plan": context.databases.call(method, wanted)}
        return
    once(context, request, response, begin)


def accepted(tx: Tx, project_id: str, operation_id: str, more: dict[str, Any] | None = None) -> Answer:
    """The answer that an operation is under way, and `more`."""
    row = operations.operation(tx.connection, project_id, operation_id)
    return 202, views.operation_without_steps(row) | (more or {}), f"/v1/operations/{operation_id}"
