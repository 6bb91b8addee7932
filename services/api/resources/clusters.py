"""Clusters over HTTP."""

from __future__ import annotations

import json
from typing import Any

from falcon import Request, Response
from sqlalchemy import select

from services.api import schemas
from services.api.actions import audit, choices, clusters, final_backups, parameter_groups, restoring
from services.api.http import Context, next_url
from services.api.idempotency import Answer, give, once
from services.api.schemas import plans, queries, shown
from services.api.serving import serves
from services.api.store import archives, health, tables, views
from services.api.store.cluster_page import Wanted, page
from shared.db import Tx
from shared.errors import FieldError, Invalid


class Clusters:
    """`/v1/clusters`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=queries.ClusterPage, gives=shown.Clusters)
    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's clusters, newest first."""
        asked = request.context.query
        wanted = Wanted(request.context.caller.project_id, **asked)
        with self._context.database.read() as connection:
            found = page(connection, wanted)
        if found is None:
            raise unknown_marker()
        following = next_url(request, wanted.limit, found.following)
        response.data = f'{{"clusters": [{", ".join(found.clusters)}], "next": {json.dumps(following)}}}'.encode()

    @serves(role="member", takes=schemas.ClusterCreate, query=queries.Plan, gives=shown.Cluster, status=202,
            also={200: plans.Plan}, conflicts=True)  # fmt: skip
    def on_post(self, request: Request, response: Response) -> None:
        """Ask for a cluster, or with `?plan=true` for its plan."""
        asked, project_id = request.context.asked, request.context.caller.project_id
        if request.context.query["plan"]:
            response.status, response.media = 200, {"plan": self._plan(project_id, asked)}
            return

        def work(tx: Tx) -> Answer:
            cluster_id, operation_id = clusters.create(
                tx, project_id, asked, self._context.max_cluster_size, self._context.seal
            )
            row = clusters.get(tx.connection, project_id, cluster_id)
            return 202, views.clusters(tx.connection, [row])[0], f"/v1/operations/{operation_id}"

        once(self._context, request, response, work)

    def _plan(self, project_id: str, asked: dict[str, Any]) -> Any:
        with self._context.database.read() as connection:
            datastore, flavor = choices.check(connection, asked, self._context.max_cluster_size)
            source = restoring.look(connection, project_id, asked, datastore, flavor)
            chosen = parameter_groups.first_set(connection, project_id, datastore, asked)
        together = choices.topology(datastore, asked)
        names = [f"{asked['name']}-{number}" for number in range(1, asked["size"] + 1)]
        spec = {"datastore_id": datastore.id, "names": names, "ram_mb": flavor.ram_mb, "vcpus": flavor.vcpus,
                "volume_gb": asked["volume_gb"], "mode": together.mode if together else "",
                "parameters": chosen.wanted, "addressed": flavor.supports_addresses}  # fmt: skip
        plan = self._context.databases.call("plan_create", spec)
        if source is not None:
            plan["moves"] = [*plan["moves"], source.told(names[0])]
        return plan


class Cluster:
    """`/v1/clusters/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=shown.ClusterAlone)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """One cluster, and how it is."""
        database = self._context.database
        with database.read() as connection:
            row = clusters.get(connection, request.context.caller.project_id, cluster_id)
            how = health.of_cluster(connection, row, database.clock.now())
            response.media = views.clusters(connection, [row])[0] | {
                "health": how, "restorable": archives.restorable(connection, cluster_id),
            }  # fmt: skip

    @serves(role="member", takes=schemas.ClusterPatch, gives=shown.Cluster, conflicts=True)
    def on_patch(self, request: Request, response: Response, cluster_id: str) -> None:
        """Change its name or deletion protection."""
        project_id = request.context.caller.project_id
        with self._context.database.write() as tx:
            clusters.patch(tx, project_id, cluster_id, request.context.asked)
            row = clusters.get(tx.connection, project_id, cluster_id)
            response.media = views.clusters(tx.connection, [row])[0]

    @serves(
        role="member", query=queries.Delete, gives=shown.Cluster, status=202, also={200: plans.Plan}, conflicts=True
    )
    def on_delete(self, request: Request, response: Response, cluster_id: str) -> None:
        """Delete it, whatever state it is in; with `?plan=true` say what would be lost.

        With `?final_backup=true` the operation is that of a backup, and once it has succeeded another one deletes the cluster; where it
        fails the cluster stays, and its `message` says so.
        """
        project_id = request.context.caller.project_id
        if request.context.query["plan"]:
            response.status, response.media = 200, {"plan": self._plan(project_id, cluster_id)}
            return
        with self._context.database.write() as tx:
            end = final_backups.request if request.context.query["final_backup"] else clusters.delete
            operation_id = end(tx, project_id, cluster_id)
            row = clusters.get(tx.connection, project_id, cluster_id)
            answer = 202, views.clusters(tx.connection, [row])[0], f"/v1/operations/{operation_id}"
        give(self._context, request, response, answer)

    def _plan(self, project_id: str, cluster_id: str) -> dict[str, Any]:
        with self._context.database.read() as connection:
            row = clusters.get(connection, project_id, cluster_id)
            nodes = views.clusters(connection, [row])[0]["instances"]
        lost = [f"server {one['name']} at {one['addr'] or 'no address yet'}, with all its data" for one in nodes]
        if row.volume_gb:
            lost += [f"volume of {row.volume_gb} GB of {one['name']}" for one in nodes]
        if own := (views.endpoint(row.endpoint) or {}).get("address"):
            lost.append(f"the cluster's address {own['host']}")
        lost.append("the cluster's SSH key and its administrator's login")
        return {"hosts": [], "restarts": [], "moves": [], "lost": lost}


class Credentials:
    """`/v1/clusters/{id}/credentials`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(role="member", gives=shown.Credentials)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """The administrator's login; that it was read is written down."""
        who = request.context.caller
        with self._context.database.read() as connection:
            row = clusters.get(connection, who.project_id, cluster_id)
        answer = self._context.databases.call("credentials", cluster_id)
        password = self._context.unseal(answer["sealed_password"])
        with self._context.database.write() as tx:
            audit.note(tx, who, "credentials.read", cluster_id)
        place = views.endpoint(row.endpoint)
        own = place["address"] if place else None
        response.media = {
            "username": answer["username"], "password": password,
            "url": _with_password(place["url"], password) if place else None,
            "address_url": _with_password(own["url"], password) if own else None,
        }  # fmt: skip


class ClusterInstances:
    """`/v1/clusters/{id}/instances`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=shown.Instances)
    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """The cluster's instances."""
        t = tables.instances
        with self._context.database.read() as connection:
            clusters.get(connection, request.context.caller.project_id, cluster_id)
            there = select(t).where(t.c.cluster_id == cluster_id, t.c.status != "deleted").order_by(t.c.name)
            rows = connection.execute(there).all()
        response.media = {"instances": [views.instance(row) for row in rows], "next": None}


def _with_password(url: str, password: str) -> str:
    return url.replace("@", f":{password}@", 1)


def unknown_marker() -> Invalid:
    """The error for a page that begins nowhere."""
    return Invalid("the page is not valid", (FieldError("marker", "is not known: begin at the first page"),))
