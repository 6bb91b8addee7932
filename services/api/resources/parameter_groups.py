"""Parameter groups over HTTP: what several clusters share of their parameters."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response
from sqlalchemy import Connection, select

from services.api.actions import group_changes, parameter_groups
from services.api.actions.parameters import Wish
from services.api.http import Context, next_url
from services.api.idempotency import Answer, once
from services.api.resources.clusters import unknown_marker
from services.api.schemas import parameter_groups as schemas
from services.api.schemas import queries
from services.api.serving import serves
from services.api.store import pages, parameter_views, tables
from shared.db import Tx

_CHANGES: dict[str, Any] = {
    "role": "member", "query": queries.ParameterChange, "gives": schemas.ParameterGroupAlone, "status": 202,
    "also": {200: schemas.GroupPlan}, "conflicts": True,
}  # fmt: skip


class ParameterGroups:
    """`/v1/parameter-groups`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=queries.Page, gives=schemas.ParameterGroups)
    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's groups, newest first."""
        asked, t = request.context.query, tables.parameter_groups
        mine = select(t).where(t.c.project_id == request.context.caller.project_id)
        with self._context.database.read() as connection:
            found = pages.page(connection, t, mine, asked["marker"], asked["limit"])
        if found is None:
            raise unknown_marker()
        shown = [parameter_views.group(row) for row in found.rows]
        response.media = {"parameter_groups": shown, "next": next_url(request, asked["limit"], found.following)}

    @serves(role="member", takes=schemas.ParameterGroupCreate, gives=schemas.ParameterGroupAlone, status=201,
            conflicts=True)  # fmt: skip
    def on_post(self, request: Request, response: Response) -> None:
        """Make a group; a cluster is given it by `parameter_group`, when it is made or later."""
        who = request.context.caller

        def work(tx: Tx) -> Answer:
            made = parameter_groups.create(tx, who.project_id, request.context.asked, who.user or who.token_id)
            return 201, _alone(tx.connection, who.project_id, made), ""

        once(self._context, request, response, work)


class ParameterGroup:
    """`/v1/parameter-groups/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=schemas.ParameterGroupAlone)
    def on_get(self, request: Request, response: Response, group_id: str) -> None:
        """One group, and the clusters that have it."""
        with self._context.database.read() as connection:
            response.media = _alone(connection, request.context.caller.project_id, group_id)

    @serves(takes=schemas.ParameterGroupPatch, **_CHANGES)
    def on_patch(self, request: Request, response: Response, group_id: str) -> None:
        """Change those parameters that are named, null for none, on every cluster that has the group."""
        self._change(request, response, group_id, whole=False)

    @serves(takes=schemas.ParameterGroupPut, **_CHANGES)
    def on_put(self, request: Request, response: Response, group_id: str) -> None:
        """Set the whole set, on every cluster that has the group."""
        self._change(request, response, group_id, whole=True)

    @serves(role="member", status=204, conflicts=True)
    def on_delete(self, request: Request, response: Response, group_id: str) -> None:
        """Delete a group that no cluster has."""
        with self._context.database.write() as tx:
            parameter_groups.remove(tx, request.context.caller.project_id, group_id)

    def _change(self, request: Request, response: Response, group_id: str, *, whole: bool) -> None:
        caller, asked, query = request.context.caller, request.context.asked, request.context.query
        wish = Wish(values=asked["parameters"], author=caller.user or caller.token_id, whole=whole,
                    restart_now=query["restart"] == "now")  # fmt: skip
        if query["plan"]:
            with self._context.database.read() as connection:
                moves = group_changes.moves_of(connection, caller.project_id, group_id, wish)
            response.status, response.media = 200, self._plan(moves, wish)
            return

        def work(tx: Tx) -> Answer:
            group_changes.change(tx, caller.project_id, group_id, wish, asked.get("description"))
            return 202, _alone(tx.connection, caller.project_id, group_id), ""

        once(self._context, request, response, work)

    def _plan(self, moves: list[group_changes.Move], wish: Wish) -> dict[str, Any]:
        """The plans of those that would be changed at once, as one, and what changes for each."""
        whole: dict[str, list[Any]] = {"hosts": [], "restarts": [], "moves": [], "lost": []}
        for move in moves:
            if move.waits:
                continue
            spec = {"cluster_id": move.cluster.id, "values": move.after.wanted, "restart_now": wish.restart_now}
            for part, found in self._context.databases.call("plan_parameters", spec).items():
                whole[part].extend(found)
        shown = [parameter_views.move(one.cluster, one.before, one.after, one.waits) for one in moves]
        return {"plan": whole, "clusters": shown}


def _alone(connection: Connection, project_id: str, group_id: str) -> dict[str, Any]:
    row = parameter_groups.get(connection, project_id, group_id)
    there = [vars(one) for one in group_changes.standings(connection, row)]
    return parameter_views.group(row) | {"clusters": there}
