"""Datastores and flavors over HTTP."""

from __future__ import annotations

from typing import Any

from falcon import Request, Response
from sqlalchemy import select

from services.api import schemas
from services.api.actions import choices, learning
from services.api.http import Context
from services.api.idempotency import Answer, once_elsewhere
from services.api.schemas import queries, shown
from services.api.serving import serves
from services.api.store import tables, views
from shared.errors import NotFound


class Datastores:
    """`/v1/datastores`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=shown.Datastores)
    def on_get(self, request: Request, response: Response) -> None:
        """The catalogue."""
        t = tables.datastores
        query = select(t).where(t.c.deleted.is_(False)).order_by(t.c.manager, t.c.version)
        with self._context.database.read() as connection:
            response.media = {"datastores": views.datastores(connection.execute(query)), "next": None}

    @serves(role="admin", takes=schemas.DatastoreCreate, gives=shown.Datastore, status=201, conflicts=True)
    def on_post(self, request: Request, response: Response) -> None:
        """Add a version; from now on it can be chosen."""

        def work() -> Answer:
            made = self._context.databases.call("create_datastore", **request.context.asked)
            return 201, _learn(self._context, made), ""

        once_elsewhere(self._context, request, response, work)


class Datastore:
    """`/v1/datastores/{id}`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(gives=shown.Datastore)
    def on_get(self, request: Request, response: Response, datastore_id: str) -> None:
        """One version."""
        response.media = self._shown(datastore_id)

    @serves(role="admin", takes=schemas.DatastorePatch, gives=shown.Datastore)
    def on_patch(self, request: Request, response: Response, datastore_id: str) -> None:
        """Change its image, packages or parameters; clusters that are there go on as they are."""
        self._shown(datastore_id)
        made = self._context.databases.call("update_datastore", datastore_id, request.context.asked)
        response.media = _learn(self._context, made)

    @serves(role="admin", status=204)
    def on_delete(self, request: Request, response: Response, datastore_id: str) -> None:
        """Take it out of the choice; clusters made with it go on."""
        self._shown(datastore_id)
        _learn(self._context, self._context.databases.call("delete_datastore", datastore_id))

    def _shown(self, datastore_id: str) -> dict[str, Any]:
        t = tables.datastores
        with self._context.database.read() as connection:
            row = connection.execute(select(t).where(t.c.id == datastore_id, t.c.deleted.is_(False))).first()
        if row is None:
            raise NotFound(f"there is no datastore {datastore_id}")
        return views.datastores([row])[0]


def _learn(context: Context, made: dict[str, Any]) -> dict[str, Any]:
    """Take what the owner has just stored into the read model at once: its event comes later, and is harmless."""
    columns = ("id", "manager", "version", "image", "packages", "default_parameters", "deleted")
    values = {name: made[name] for name in columns}
    values |= {"name": f"{made['manager']} - {made['version']}", "min_ram_mb": made.get("min_ram_mb", 0)}
    with context.database.write() as tx:
        learning.put_datastore(tx, values)
        t = tables.datastores
        row = tx.connection.execute(select(t).where(t.c.id == made["id"])).one()
        return views.datastores([row])[0]


class Flavors:
    """`/v1/flavors`."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @serves(query=queries.FlavorList, gives=shown.Flavors)
    def on_get(self, request: Request, response: Response) -> None:
        """The provider's flavors, with `?datastore=` those that it can live in."""
        t, wanted = tables.flavors, request.context.query["datastore"]
        with self._context.database.read() as connection:
            least = choices.find_datastore(connection, wanted).min_ram_mb if wanted else 0
            rows = connection.execute(select(t).where(t.c.ram_mb >= least).order_by(t.c.ram_mb, t.c.id)).all()
        response.media = {"flavors": [views.flavor(row) for row in rows], "next": None}
