"""A cluster restored in place, over HTTP."""

from __future__ import annotations

from falcon import Request, Response

from services.api import schemas
from services.api.actions import restoring_in_place as restores
from services.api.http import Context
from services.api.schemas import plans, queries, shown
from services.api.serving import action, serves
from services.api.wishes import accepted, plan_or_begin

_PLANNED = {200: plans.Plan}


class Restores:
    """`/v1/clusters/{id}/restore`, `/v1/clusters/{id}/restore/confirm` and `/v1/clusters/{id}/restore/undo`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="member", takes=schemas.RestoreInPlace, query=queries.Plan, gives=shown.OperationBrief, status=202, also=_PLANNED,
            conflicts=True)  # fmt: skip
    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Give a cluster the data of a backup, or of a moment, in place of its own, which are kept beside them until that is confirmed or
        undone, for a week at most; with `?plan=true` show what that would run.
        """
        project_id, asked = request.context.caller.project_id, request.context.asked
        plan_or_begin(
            self._context, request, response, "plan_restore",
            lambda connection: restores.plan_of(connection, project_id, cluster_id, asked),
            lambda tx: accepted(tx, project_id, restores.request(tx, project_id, cluster_id, asked)),
        )  # fmt: skip

    @action(role="member", query=queries.Plan, gives=shown.OperationBrief, status=202, also=_PLANNED, conflicts=True)
    def on_post_confirm(self, request: Request, response: Response, cluster_id: str) -> None:
        """Drop what a cluster had before it was restored in place. Nobody can undo that."""
        self._decide(request, response, cluster_id, restores.CONFIRM)

    @action(role="member", query=queries.Plan, gives=shown.OperationBrief, status=202, also=_PLANNED, conflicts=True)
    def on_post_undo(self, request: Request, response: Response, cluster_id: str) -> None:
        """Give a cluster back what it had before it was restored in place; what was written since is lost."""
        self._decide(request, response, cluster_id, restores.UNDO)

    def _decide(self, request: Request, response: Response, cluster_id: str, wanted: str) -> None:
        project_id = request.context.caller.project_id
        plan_or_begin(
            self._context, request, response, "plan_restore",
            lambda connection: restores.plan_of_decision(connection, project_id, cluster_id, wanted),
            lambda tx: accepted(tx, project_id, restores.decide(tx, project_id, cluster_id, wanted)),
        )  # fmt: skip
