"""What a user may choose from: datastores and flavors."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from services.api.store import tables
from shared.errors import FieldError, Invalid, Unavailable

ALIASES = {"postgresql": "pgsql", "postgres": "pgsql", "mariadb": "mysql"}


def find_datastore(connection: Connection, wanted: str) -> Row[Any]:
    """A datastore by id or as `mysql 10.11`. Raises Invalid, with what there is."""
    t = tables.datastores
    rows = connection.execute(select(t).where(t.c.deleted.is_(False)).order_by(t.c.manager, t.c.version)).all()
    if not rows:
        raise Unavailable("the catalogue of datastores has not arrived yet", what_to_do="try again shortly")
    name, _, version = wanted.replace(" - ", " ").strip().partition(" ")
    name = ALIASES.get(name.lower(), name.lower())
    for row in rows:
        if wanted == row.id or (row.manager == name and row.version == version.strip()):
            return row
    there = ", ".join(f"`{row.manager} {row.version}`" for row in rows)
    raise Invalid("unknown datastore", (FieldError("datastore", f"there is no {wanted[:80]!r}; there are {there}"),))


def find_flavor(connection: Connection, wanted: str) -> Row[Any]:
    """A flavor by id or name. Raises Invalid, with what there is."""
    rows = connection.execute(select(tables.flavors).order_by(tables.flavors.c.ram_mb)).all()
    if not rows:
        raise Unavailable("the provider's flavors have not arrived yet", what_to_do="try again shortly")
    for row in rows:
        if wanted in (row.id, row.name):
            return row
    there = ", ".join(row.name for row in rows)
    raise Invalid("unknown flavor", (FieldError("flavor", f"there is no {wanted[:80]!r}; there are {there}"),))


def check(connection: Connection, asked: dict[str, Any], max_size: int) -> tuple[Row[Any], Row[Any]]:
    """The datastore and flavor of a wish, if it can be granted. Raises Invalid with every objection."""
    datastore, flavor = find_datastore(connection, asked["datastore"]), find_flavor(connection, asked["flavor"])
    errors = []
    if asked["size"] > max_size:
        errors.append(FieldError("size", f"must be at most {max_size} (DTROVE_MAX_CLUSTER_SIZE)"))
    elif asked["size"] > 1:
        errors.append(FieldError("size", "clusters of several nodes are not built yet: ask for size 1"))
    if flavor.ram_mb < datastore.min_ram_mb:
        errors.append(
            FieldError("flavor", f"{datastore.name} needs {datastore.min_ram_mb} MB, {flavor.name} has {flavor.ram_mb}")
        )
    if asked["volume_gb"] and not flavor.supports_volumes:
        errors.append(FieldError("volume_gb", "this provider has no volumes: leave it out"))
    if errors:
        raise Invalid("the request was not accepted", tuple(errors), what_to_do="mend the fields named in `errors`")
    return datastore, flavor
