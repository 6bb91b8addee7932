"""Datastores, flavors, tokens, projects and health over HTTP."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from sqlalchemy import func, select

from services.api import schemas
from services.api.actions import access, clusters, hearing
from services.api.http import Context, body, caller
from services.api.store import tables, views
from shared.errors import NotFound


class Datastores:
    """`/v1/datastores`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response) -> None:
        """The catalogue."""
        caller(request)
        t = tables.datastores
        query = select(t).where(t.c.deleted.is_(False)).order_by(t.c.manager, t.c.version)
        with self._context.database.read() as connection:
            response.media = {"datastores": views.datastores(connection.execute(query)), "next": None}

    def on_post(self, request: Request, response: Response) -> None:
        """Add a version."""
        caller(request, "admin")
        asked = schemas.accept(schemas.DatastoreCreate, body(request))
        made = self._context.databases.call("create_datastore", **asked)
        response.media, response.status = _learn(self._context, made), 201


class Datastore:
    """`/v1/datastores/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response, datastore_id: str) -> None:
        """One version."""
        caller(request)
        response.media = self._shown(datastore_id)

    def on_patch(self, request: Request, response: Response, datastore_id: str) -> None:
        """Change its image, packages or parameters."""
        caller(request, "admin")
        changes = schemas.accept(schemas.DatastorePatch, body(request))
        self._shown(datastore_id)
        response.media = _learn(self._context, self._context.databases.call("update_datastore", datastore_id, changes))

    def on_delete(self, request: Request, response: Response, datastore_id: str) -> None:
        """Take it out of the choice; clusters made with it go on."""
        caller(request, "admin")
        self._shown(datastore_id)
        _learn(self._context, self._context.databases.call("delete_datastore", datastore_id))
        response.status = 204

    def _shown(self, datastore_id: str) -> dict[str, Any]:
        t = tables.datastores
        with self._context.database.read() as connection:
            row = connection.execute(select(t).where(t.c.id == datastore_id, t.c.deleted.is_(False))).first()
        if row is None:
            raise NotFound(f"there is no datastore {datastore_id[:64]}")
        return views.datastores([row])[0]


def _learn(context: Context, made: dict[str, Any]) -> dict[str, Any]:
    """Take what the owner has just stored into the read model at once: its event comes later, and is harmless."""
    columns = ("id", "manager", "version", "image", "packages", "default_parameters", "deleted")
    values = {name: made[name] for name in columns}
    values |= {"name": f"{made['manager']} - {made['version']}", "min_ram_mb": made.get("min_ram_mb", 0)}
    with context.database.write() as tx:
        hearing.put_datastore(tx, values)
        t = tables.datastores
        row = tx.connection.execute(select(t).where(t.c.id == made["id"])).one()
        return views.datastores([row])[0]


class Flavors:
    """`/v1/flavors`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response) -> None:
        """The provider's flavors, for one datastore with `?datastore=`."""
        caller(request)
        t = tables.flavors
        with self._context.database.read() as connection:
            least = 0
            if wanted := request.get_param("datastore"):
                least = clusters.find_datastore(connection, wanted).min_ram_mb
            rows = connection.execute(select(t).where(t.c.ram_mb >= least).order_by(t.c.ram_mb, t.c.id)).all()
        response.media = {"flavors": [views.flavor(row) for row in rows], "next": None}


class Tokens:
    """`/v1/tokens` and `/v1/tokens/{id}`; an administrator's business."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response) -> None:
        """All tokens, without what they open."""
        caller(request, "admin")
        with self._context.database.read() as connection:
            rows = connection.execute(select(tables.tokens).order_by(tables.tokens.c.created_at))
            response.media = {"tokens": [views.token(row) for row in rows], "next": None}

    def on_post(self, request: Request, response: Response) -> None:
        """Make a token; it is shown this once."""
        caller(request, "admin")
        asked = schemas.accept(schemas.TokenCreate, body(request))
        with self._context.database.write() as tx:
            token_id, token = access.create_token(tx, asked)
            row = tx.connection.execute(select(tables.tokens).where(tables.tokens.c.id == token_id)).one()
            response.media = views.token(row) | {"token": token}
        response.status = 201
        response.set_header("Cache-Control", "no-store")

    def on_delete_one(self, request: Request, response: Response, token_id: str) -> None:
        """Revoke a token at once."""
        caller(request, "admin")
        with self._context.database.write() as tx:
            access.revoke_token(tx, token_id)
        response.status = 204


class Projects:
    """`/v1/projects`; an administrator's business."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response) -> None:
        """All projects."""
        caller(request, "admin")
        with self._context.database.read() as connection:
            rows = connection.execute(select(tables.projects).order_by(tables.projects.c.name))
            response.media = {"projects": [{"id": row.id, "name": row.name} for row in rows], "next": None}

    def on_post(self, request: Request, response: Response) -> None:
        """Make a project."""
        caller(request, "admin")
        asked = schemas.accept(schemas.ProjectCreate, body(request))
        with self._context.database.write() as tx:
            project_id = access.create_project(tx, asked["name"])
        response.media, response.status = {"id": project_id, "name": asked["name"]}, 201


class Health:
    """`/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def on_get(self, request: Request, response: Response) -> None:
        """Alive."""
        response.media = {"status": "ok"}

    def on_get_ready(self, request: Request, response: Response) -> None:
        """Ready, with each dependency's state."""
        checks = self._context.ready()
        good = all(state == "ok" for state in checks.values())
        response.status = 200 if good else 503
        response.media = {"status": "ok" if good else "unready", "checks": checks}

    def on_get_metrics(self, request: Request, response: Response) -> None:
        """Prometheus' text format."""
        registry = CollectorRegistry()
        for name, table in (("clusters", tables.clusters), ("operations", tables.operations)):
            gauge = Gauge(f"dtrove_{name}", f"{name} by status", ["status"], registry=registry)
            with self._context.database.read() as connection:
                for status, count in connection.execute(select(table.c.status, func.count()).group_by(table.c.status)):
                    gauge.labels(status).set(count)
        depth = Gauge("dtrove_api_outbox_depth", "messages that wait for the broker", registry=registry)
        outbox = self._context.database.outbox
        with self._context.database.read() as connection:
            depth.set(connection.execute(select(func.count()).select_from(outbox)).scalar_one())
        response.content_type = CONTENT_TYPE_LATEST
        response.data = generate_latest(registry)
