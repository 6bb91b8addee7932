"""A cluster started, stopped and restarted, over HTTP."""

from __future__ import annotations

from falcon import Request, Response

from services.api import schemas
from services.api.actions import rolls
from services.api.http import Context
from services.api.schemas import plans, queries, shown
from services.api.serving import action, serves
from services.api.wishes import accepted, plan_or_begin

_PLANNED = {200: plans.Plan}


class Rolls:
    """`/v1/clusters/{id}/start`, `/v1/clusters/{id}/stop` and `/v1/clusters/{id}/restart`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @action(role="member", query=queries.Plan, gives=shown.OperationBrief, status=202, also=_PLANNED, conflicts=True)
    def on_post_start(self, request: Request, response: Response, cluster_id: str) -> None:
        """Start a cluster that is stopped, its primary first; with `?plan=true` show what that would run."""
        self._answer(request, response, cluster_id, rolls.START)

    @action(role="member", query=queries.Plan, gives=shown.OperationBrief, status=202, also=_PLANNED, conflicts=True)
    def on_post_stop(self, request: Request, response: Response, cluster_id: str) -> None:
        """Stop all databases of a cluster, its primary last; its servers run on, and nothing starts it but a start."""
        self._answer(request, response, cluster_id, rolls.STOP)

    @serves(role="member", takes=schemas.Restart, query=queries.Plan, gives=shown.OperationBrief, status=202, also=_PLANNED,
            conflicts=True)  # fmt: skip
    def on_post_restart(self, request: Request, response: Response, cluster_id: str) -> None:
        """Restart a cluster node after node, with one switchover before the primary's turn; or one node where it is."""
        self._answer(request, response, cluster_id, rolls.RESTART, request.context.asked["instance"])

    def _answer(
        self, request: Request, response: Response, cluster_id: str, wanted: str, instance_id: str | None = None
    ) -> None:
        project_id = request.context.caller.project_id
        plan_or_begin(
            self._context, request, response, "plan_roll",
            lambda connection: rolls.plan_of(connection, project_id, cluster_id, wanted, instance_id),
            lambda tx: accepted(tx, project_id, rolls.request(tx, project_id, cluster_id, wanted, instance_id)),
        )  # fmt: skip
