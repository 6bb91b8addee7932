"""Parameters over HTTP: what a datastore has, what a cluster runs with, and how that is changed."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response
from sqlalchemy import select

from services.api import schemas
from services.api.actions import clusters, definitions, parameter_groups, parameters
from services.api.domain.parameter_sets import ParameterSet, stored
from services.api.http import Context
from services.api.schemas import plans, queries, shown_parameters
from services.api.schemas import shown as shown_schemas
from services.api.serving import action, serves
from services.api.store import parameter_views, tables
from services.api.wishes import accepted, plan_or_begin
from shared.errors import NotFound

HISTORY_SHOWN = 100
_CHANGES: dict[str, Any] = {
    "role": "member", "query": queries.ParameterChange, "gives": shown_schemas.OperationBrief, "status": 202,
    "also": {200: plans.Plan}, "conflicts": True,
}  # fmt: skip


class DatastoreParameters:
    """`/v1/datastores/{id}/parameters`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=shown_parameters.Definitions, conflicts=True)
    def on_get(self, request: Request, response: Response, datastore_id: str) -> None:
        """What parameters its engine has, as one that runs says itself."""
        d, t = tables.datastores, tables.definitions
        with self._context.database.read() as connection:
            row = connection.execute(select(d).where(d.c.id == datastore_id)).first()
            if row is None:
                raise NotFound(f"there is no datastore {datastore_id}")
            known = definitions.definitions(connection, datastore_id, row.name)
            engine = connection.execute(select(t.c.engine).where(t.c.datastore_id == datastore_id)).scalar_one()
        response.media = {
            "engine": engine,
            "parameters": [parameter_views.definition(known[name]) for name in sorted(known)],
        }


class ClusterParameters:
    """`/v1/clusters/{id}/parameters`, their history, and the way back."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=shown_parameters.ClusterParameters, conflicts=True)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """What is set, with what each node was last seen to run, and what waits for a restart."""
        i = tables.instances
        with self._context.database.read() as connection:
            row = clusters.get(connection, request.context.caller.project_id, cluster_id)
            version = parameters.newest(connection, cluster_id)
            wanted = stored(version) if version else ParameterSet()
            newest = parameter_groups.newest(connection, wanted.group.id) if wanted.group else None
            known = definitions.so_far(connection, row.datastore["id"]) if version else None
            there = connection.execute(
                select(i).where(i.c.cluster_id == cluster_id, i.c.status != "deleted").order_by(i.c.name)
            )
            shown = parameter_views.cluster(wanted, known or {}, there, parameters.node_rows(connection, cluster_id))
        response.media = {
            "version": version.version if version else 0, "state": version.state if version else definitions.APPLIED,
            "parameters": shown, "pending_restart": any(one["pending_restart"] for one in shown),
            "group": parameter_views.of_group(wanted.group, newest),
        }  # fmt: skip

    @serves(takes=schemas.ParametersChange, **_CHANGES)
    def on_patch(self, request: Request, response: Response, cluster_id: str) -> None:
        """Change those that are named, null for the group's or the default, and its group, where that is named.

        With `?plan=true` show what that would write and run.
        """
        self._change(request, response, cluster_id)

    @serves(takes=schemas.ParametersPut, **_CHANGES)
    def on_put(self, request: Request, response: Response, cluster_id: str) -> None:
        """Set the whole set of its own: all others get what the group has, or their defaults."""
        self._change(request, response, cluster_id, whole=True)

    @serves(gives=shown_parameters.History)
    def on_get_history(self, request: Request, response: Response, cluster_id: str) -> None:
        """What was ever set, the latest first, with what each version changed."""
        with self._context.database.read() as connection:
            clusters.get(connection, request.context.caller.project_id, cluster_id)
            rows = parameters.versions(connection, cluster_id, HISTORY_SHOWN)
        response.media = {"versions": parameter_views.versions(rows)}

    @serves(takes=schemas.ParametersRollback, **_CHANGES)
    def on_post_rollback(self, request: Request, response: Response, cluster_id: str) -> None:
        """Set what an earlier version had, its group's version too, as a new version; 0 is the one before the first."""
        self._change(request, response, cluster_id, version=request.context.asked["version"])

    @action(**_CHANGES)
    def on_post_apply(self, request: Request, response: Response, cluster_id: str) -> None:
        """Bring a cluster that is out of date to its parameter group as it is now."""
        self._change(request, response, cluster_id, fresh=True)

    def _change(self, request: Request, response: Response, cluster_id: str, **how: Any) -> None:
        caller, asked = request.context.caller, request.context.asked
        wish = parameters.Wish(
            values=asked.get("parameters", {}), author=caller.user or caller.token_id,
            restart_now=request.context.query["restart"] == "now", group=asked.get("parameter_group", parameters.KEPT), **how,
        )  # fmt: skip
        plan_or_begin(
            self._context, request, response, "plan_parameters",
            lambda connection: parameters.plan_of(connection, caller.project_id, cluster_id, wish),
            lambda tx: accepted(tx, caller.project_id, parameters.change(tx, caller.project_id, cluster_id, wish)),
        )  # fmt: skip
