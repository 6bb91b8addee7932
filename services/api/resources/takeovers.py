"""Another primary for a cluster, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from falcon import Request, Response

from services.api import schemas
from services.api.actions import takeovers
from services.api.http import Context
from services.api.schemas import plans, queries, shown
from services.api.serving import serves
from services.api.wishes import accepted, plan_or_begin
from shared.db import Tx

Wish = Callable[[Tx, str, str, dict[str, Any]], str]


class Takeovers:
    """`/v1/clusters/{id}/switchover` and `/v1/clusters/{id}/failover`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="member", takes=schemas.Switchover, query=queries.Plan, gives=shown.OperationBrief, status=202,
            also={200: plans.Plan}, conflicts=True)  # fmt: skip
    def on_post_switchover(self, request: Request, response: Response, cluster_id: str) -> None:
        """Have a replica take the writes of a primary that is well; with `?plan=true` show what that would run."""
        self._answer(request, response, cluster_id, takeovers.switch_over, fenced=False)

    @serves(role="member", takes=schemas.Failover, query=queries.Plan, gives=shown.OperationBrief, status=202,
            also={200: plans.Plan}, conflicts=True)  # fmt: skip
    def on_post_failover(self, request: Request, response: Response, cluster_id: str) -> None:
        """Have a replica take the place of a primary that is dead, once that is proven and its server is switched off."""
        self._answer(request, response, cluster_id, takeovers.fail_over, fenced=True)

    def _answer(self, request: Request, response: Response, cluster_id: str, wish: Wish, *, fenced: bool) -> None:
        project_id, asked = request.context.caller.project_id, request.context.asked
        plan_or_begin(
            self._context, request, response, "plan_takeover",
            lambda connection: takeovers.plan_of(connection, project_id, cluster_id, asked["instance"], fenced=fenced),
            lambda tx: accepted(tx, project_id, wish(tx, project_id, cluster_id, asked)),
        )  # fmt: skip
