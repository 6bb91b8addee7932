"""Larger volumes and another flavor for a cluster, over HTTP."""

from __future__ import annotations

from falcon import Request, Response

from services.api import schemas
from services.api.actions import resizing
from services.api.http import Context
from services.api.schemas import plans, queries, shown
from services.api.serving import serves
from services.api.wishes import accepted, plan_or_begin


class Resize:
    """`/v1/clusters/{id}/resize`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="member", takes=schemas.Resize, query=queries.Plan, gives=shown.OperationBrief, status=202,
            also={200: plans.Plan}, conflicts=True)  # fmt: skip
    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Make the volumes of a cluster larger while it serves, and its servers ones of another flavor, node after node with one
        switchover; with `?plan=true` show what that would run.
        """
        project_id, asked = request.context.caller.project_id, request.context.asked
        plan_or_begin(
            self._context, request, response, "plan_resize",
            lambda connection: resizing.plan_of(connection, project_id, cluster_id, asked),
            lambda tx: accepted(tx, project_id, resizing.resize(tx, project_id, cluster_id, asked)),
        )  # fmt: skip
