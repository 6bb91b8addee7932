"""What a user may choose from: datastores and flavors."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from services.api.store import tables
from shared.contracts.values import DatastoreRef, Topology
from shared.errors import FieldError, Invalid, Unavailable

# The memory of a server for which nobody has chosen a flavor.
USUAL_MB = 1024
# Asked for every cluster that is wanted: they are put together once.
_d, _f = tables.datastores, tables.flavors
_DATASTORES = select(_d).where(_d.c.deleted.is_(False)).order_by(_d.c.manager, _d.c.version)
_FLAVORS = select(_f).order_by(_f.c.ram_mb, _f.c.vcpus)
ALIASES = {"postgresql": "pgsql", "postgres": "pgsql", "mariadb": "mysql"}


def find_datastore(connection: Connection, wanted: str) -> Row[Any]:
    """A datastore by id or as `mysql 10.11`. Raises Invalid, with what there is."""
    rows = connection.execute(_DATASTORES).all()
    if not rows:
        raise Unavailable("the catalogue of datastores has not arrived yet", what_to_do="try again shortly")
    name, _, version = wanted.replace(" - ", " ").strip().partition(" ")
    name = ALIASES.get(name.lower(), name.lower())
    for row in rows:
        if wanted == row.id or (row.manager == name and row.version == version.strip()):
            return row
    there = ", ".join(f"`{row.manager} {row.version}`" for row in rows)
    raise Invalid("unknown datastore", (FieldError("datastore", f"there is no {wanted[:80]!r}; there are {there}"),))


def find_flavor(connection: Connection, wanted: str | None, least_mb: int = 0) -> Row[Any]:
    """A flavor by id or name; for None the usual one, with `least_mb` of memory. Raises Invalid, with what there is."""
    rows = connection.execute(_FLAVORS).all()
    if not rows:
        raise Unavailable("the provider's flavors have not arrived yet", what_to_do="try again shortly")
    if wanted is None:
        return next((row for row in rows if row.ram_mb >= max(USUAL_MB, least_mb)), rows[-1])
    for row in rows:
        if wanted in (row.id, row.name):
            return row
    there = ", ".join(row.name for row in rows)
    raise Invalid("unknown flavor", (FieldError("flavor", f"there is no {wanted[:80]!r}; there are {there}"),))


def check(connection: Connection, asked: dict[str, Any], max_size: int) -> tuple[Row[Any], Row[Any]]:
    """The datastore and flavor of a wish, if it can be granted. Raises Invalid with every objection."""
    datastore = find_datastore(connection, asked["datastore"])
    flavor = find_flavor(connection, asked["flavor"], datastore.min_ram_mb)
    errors = []
    if asked["size"] > max_size:
        errors.append(FieldError("size", f"must be at most {max_size} (DTROVE_MAX_CLUSTER_SIZE)"))
    elif asked["size"] > 1 and not datastore.modes:
        errors.append(FieldError("size", f"{datastore.name} has no replicas here: ask for size 1"))
    if flavor.ram_mb < datastore.min_ram_mb:
        errors.append(
            FieldError("flavor", f"{datastore.name} needs {datastore.min_ram_mb} MB, {flavor.name} has {flavor.ram_mb}")
        )
    if asked["volume_gb"] and not flavor.supports_volumes:
        errors.append(FieldError("volume_gb", "this provider has no volumes: leave it out"))
    if asked["topology"] and (objection := _to_mode(datastore, asked)):
        errors.append(FieldError("topology.mode", objection))
    if errors:
        raise Invalid("the request was not accepted", tuple(errors), what_to_do="mend the fields named in `errors`")
    return datastore, flavor


def topology(datastore: Row[Any], asked: dict[str, Any]) -> Topology | None:
    """How the nodes of a cluster that is wanted work together: as asked, or as is usual; None for one node."""
    if asked["size"] == 1:
        return None
    choice = asked["topology"] or {"mode": None, "failover": "automatic"}
    return Topology(mode=choice["mode"] or datastore.modes[0], failover=choice["failover"])


def reference(datastore: Row[Any]) -> DatastoreRef:
    """A datastore as the other services are told of it."""
    return DatastoreRef(
        id=datastore.id, manager=datastore.manager, version=datastore.version, image=datastore.image,
        packages=tuple(datastore.packages), name=datastore.name, port=datastore.port,
    )  # fmt: skip


def _to_mode(datastore: Row[Any], asked: dict[str, Any]) -> str:
    """What speaks against the mode that is asked for; empty for nothing."""
    mode = asked["topology"]["mode"]
    if asked["size"] == 1:
        return "one node has nobody to wait for: ask for a size above 1, or leave it out"
    if mode and datastore.modes and mode not in datastore.modes:
        return f"{datastore.name} has only {' and '.join(datastore.modes)}"
    return ""
