"""Clusters and instances over HTTP."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response
from sqlalchemy import and_, or_, select

from services.api import schemas
from services.api.actions import clusters
from services.api.http import Context, body, caller, next_url, once, page
from services.api.store import tables, views
from shared.db import Tx
from shared.errors import FieldError, Invalid


class Clusters:
    """`/v1/clusters`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response) -> None:
        """A page of the project's clusters, newest first."""
        who = caller(request)
        limit, marker = page(request)
        t = tables.clusters
        query = select(t).where(t.c.project_id == who.project_id, t.c.deleted_at.is_(None))
        for name in ("status", "name"):
            if wanted := request.get_param(name):
                query = query.where(t.c[name] == wanted)
        with self._context.database.read() as connection:
            if marker:
                last = connection.execute(
                    select(t.c.created_at).where(t.c.id == marker, t.c.project_id == who.project_id)
                ).first()
                if last is None:
                    raise Invalid(
                        "the page is not valid", (FieldError("marker", "is not known: begin at the first page"),)
                    )
                query = query.where(
                    or_(t.c.created_at < last.created_at, and_(t.c.created_at == last.created_at, t.c.id < marker))
                )
            rows = connection.execute(query.order_by(t.c.created_at.desc(), t.c.id.desc()).limit(limit)).all()
            shown = views.clusters(connection, rows)
        response.media = {"clusters": shown, "next": next_url(request, limit, list(rows))}

    def on_post(self, request: Request, response: Response) -> None:
        """Ask for a cluster, or with `?plan=true` for its plan."""
        who = caller(request, "member")
        asked = schemas.accept(schemas.ClusterCreate, body(request))
        if request.get_param_as_bool("plan"):
            response.media = {"plan": self._plan(asked)}
            return

        def work(tx: Tx) -> tuple[int, Any, str]:
            cluster_id, operation_id = clusters.create(tx, who.project_id, asked, self._context.max_cluster_size)
            row = clusters.get(tx.connection, who.project_id, cluster_id)
            return 202, views.clusters(tx.connection, [row])[0], f"/v1/operations/{operation_id}"

        once(self._context, request, response, work)

    def _plan(self, asked: dict[str, Any]) -> Any:
        with self._context.database.read() as connection:
            datastore, flavor = clusters.check(connection, asked, self._context.max_cluster_size)
        names = [f"{asked['name']}-{number}" for number in range(1, asked["size"] + 1)]
        spec = {"datastore_id": datastore.id, "names": names, "ram_mb": flavor.ram_mb, "vcpus": flavor.vcpus,
                "volume_gb": asked["volume_gb"]}  # fmt: skip
        return self._context.databases.call("plan_create", spec)


class Cluster:
    """`/v1/clusters/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """One cluster."""
        who = caller(request)
        with self._context.database.read() as connection:
            row = clusters.get(connection, who.project_id, cluster_id)
            response.media = views.clusters(connection, [row])[0]

    def on_patch(self, request: Request, response: Response, cluster_id: str) -> None:
        """Change name or deletion protection."""
        who = caller(request, "member")
        changes = schemas.accept(schemas.ClusterPatch, body(request))
        with self._context.database.write() as tx:
            clusters.patch(tx, who.project_id, cluster_id, changes)
            row = clusters.get(tx.connection, who.project_id, cluster_id)
            response.media = views.clusters(tx.connection, [row])[0]

    def on_delete(self, request: Request, response: Response, cluster_id: str) -> None:
        """Delete it, whatever state it is in; with `?plan=true` say what would be lost."""
        who = caller(request, "member")
        if request.get_param_as_bool("plan"):
            response.media = {"plan": self._plan(who.project_id, cluster_id)}
            return
        with self._context.database.write() as tx:
            operation_id = clusters.delete(tx, who.project_id, cluster_id)
            row = clusters.get(tx.connection, who.project_id, cluster_id)
            response.media = views.clusters(tx.connection, [row])[0]
        response.status = 202
        response.set_header("Location", f"/v1/operations/{operation_id}")

    def _plan(self, project_id: str, cluster_id: str) -> dict[str, Any]:
        with self._context.database.read() as connection:
            row = clusters.get(connection, project_id, cluster_id)
            shown = views.clusters(connection, [row])[0]
        lost = [
            f"server {one['name']} at {one['addr'] or 'no address yet'}, with all its data"
            for one in shown["instances"]
        ]
        if row.volume_gb:
            lost += [f"volume of {row.volume_gb} GB of {one['name']}" for one in shown["instances"]]
        lost.append("the cluster's SSH key and its administrator's login")
        return {"hosts": [], "restarts": [], "lost": lost}


class Credentials:
    """`/v1/clusters/{id}/credentials`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """The administrator's login; that it was read is written down."""
        who = caller(request, "member")
        with self._context.database.read() as connection:
            row = clusters.get(connection, who.project_id, cluster_id)
        answer = self._context.databases.call("credentials", cluster_id)
        password = self._context.unseal(answer["sealed_password"])
        with self._context.database.write() as tx:
            tx.connection.execute(
                tables.audit.insert().values(project_id=who.project_id, token_id=who.token_id, subject=cluster_id,
                                             action="credentials.read", at=tx.database.clock.now())
            )  # fmt: skip
        url = row.endpoint["url"].replace("@", f":{password}@", 1) if row.endpoint else None
        response.media = {"username": answer["username"], "password": password, "url": url}
        response.set_header("Cache-Control", "no-store")


class ClusterInstances:
    """`/v1/clusters/{id}/instances`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response, cluster_id: str) -> None:
        """The cluster's instances."""
        who = caller(request)
        t = tables.instances
        with self._context.database.read() as connection:
            clusters.get(connection, who.project_id, cluster_id)
            rows = connection.execute(select(t).where(t.c.cluster_id == cluster_id).order_by(t.c.name)).all()
        response.media = {"instances": [views.instance(row) for row in rows], "next": None}


class Backups:
    """`/v1/clusters/{id}/backups`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_post(self, request: Request, response: Response, cluster_id: str) -> None:
        """Back up now, by the manager's own `backup`."""
        who = caller(request, "member")
        schemas.accept(schemas.Empty, body(request))

        def work(tx: Tx) -> tuple[int, Any, str]:
            operation_id = clusters.backup(tx, who.project_id, cluster_id)
            row = clusters.operation(tx.connection, who.project_id, operation_id)
            return 202, views.operation_without_steps(row), f"/v1/operations/{operation_id}"

        once(self._context, request, response, work)


class Instance:
    """`/v1/instances/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response, instance_id: str) -> None:
        """One instance."""
        who = caller(request)
        with self._context.database.read() as connection:
            response.media = views.instance(clusters.instance(connection, who.project_id, instance_id))


class Perform:
    """`/v1/instances/{id}/perform`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_post(self, request: Request, response: Response, instance_id: str) -> None:
        """Run commands on an instance; an administrator's right."""
        who = caller(request, "admin")
        asked = schemas.accept(schemas.Perform, body(request))

        def work(tx: Tx) -> tuple[int, Any, str]:
            operation_id = clusters.perform(tx, who.project_id, instance_id, asked)
            row = clusters.operation(tx.connection, who.project_id, operation_id)
            return 202, views.operation_without_steps(row), f"/v1/operations/{operation_id}"

        once(self._context, request, response, work)
