"""The nodes of a cluster that serves, over HTTP: more of them, or one less."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response

from services.api import schemas
from services.api.actions import clusters, scaling
from services.api.http import Context
from services.api.idempotency import give
from services.api.schemas import plans, queries, shown
from services.api.serving import serves
from services.api.wishes import accepted, plan_or_begin


class Nodes:
    """`/v1/clusters/{id}/nodes`, and each of them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="member", takes=schemas.NodesAdd, query=queries.Plan, gives=shown.OperationBrief, status=202,
            also={200: plans.Plan}, conflicts=True)  # fmt: skip
    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Add replicas to a cluster that serves, or with `?plan=true` show what that would run."""
        project_id, count = request.context.caller.project_id, request.context.asked["count"]
        most = self._context.max_cluster_size
        plan_or_begin(
            self._context, request, response, "plan_nodes",
            lambda connection: scaling.plan_of(connection, project_id, cluster_id, count, most),
            lambda tx: accepted(tx, project_id, scaling.add_nodes(tx, project_id, cluster_id, count, most)),
        )  # fmt: skip

    @serves(
        role="member",
        query=queries.Plan,
        gives=shown.OperationBrief,
        status=202,
        also={200: plans.Plan},
        conflicts=True,
    )
    def on_delete_one(self, request: Request, response: Response, cluster_id: str, instance_id: str) -> None:
        """Remove a replica, with its server and volume; with `?plan=true` say what would be lost."""
        project_id = request.context.caller.project_id
        if request.context.query["plan"]:
            response.status, response.media = 200, {"plan": self._loss(project_id, cluster_id, instance_id)}
            return
        with self._context.database.write() as tx:
            operation_id = scaling.remove_node(tx, project_id, cluster_id, instance_id)
            answer = accepted(tx, project_id, operation_id)
        give(self._context, request, response, answer)

    def _loss(self, project_id: str, cluster_id: str, instance_id: str) -> dict[str, Any]:
        with self._context.database.read() as connection:
            row = clusters.get(connection, project_id, cluster_id)
            node = scaling.removable(connection, row, instance_id)
        lost = [f"server {node.name} at {node.addr or 'no address yet'}, with its copy of the data"]
        if row.volume_gb:
            lost.append(f"volume of {row.volume_gb} GB of {node.name}")
        return {"hosts": [], "restarts": [], "moves": [], "lost": lost}
