"""The list of clusters, in one query and with little work on each row: it is what consoles ask for all day long."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, Text, bindparam, cast, select, tuple_, type_coerce
from sqlalchemy.types import NullType

from services.api.store import tables, views
from shared.db.types import UtcDateTime, in_utc

JSON_COLUMNS = ("datastore", "flavor", "topology", "endpoint", "restored_in_place")
COLUMNS = ("id", "name", "project_id", "status", "datastore", "flavor", "size", "volume_gb", "topology", "endpoint",
           "primary_id", "operation_id", "message", "deletion_protection", "restored_from", "restored_to", "restored_in_place",
           "created_at")  # fmt: skip
TIME_COLUMNS = ("restored_to", "created_at")
NODE_COLUMNS = ("id", "name", "status", "addr")
_AGE = itemgetter(COLUMNS.index("created_at"), COLUMNS.index("id"))
_NAME = itemgetter(NODE_COLUMNS.index("name"))
# Rendered clusters that are kept: some megabytes.
KEPT = 2048


class Wanted(NamedTuple):
    """Which clusters; an empty filter is none."""

    project_id: str
    limit: int
    marker: str = ""
    status: str = ""
    name: str = ""


class Page(NamedTuple):
    """Clusters as JSON texts, and the id that the next page begins after, None on the last one."""

    clusters: list[str]
    following: str | None


def page(connection: Connection, wanted: Wanted) -> Page | None:
    """A page, newest first; None for a marker that is not known."""
    values: dict[str, Any] = {"project": wanted.project_id, "rows": wanted.limit + 1}
    if wanted.marker:
        t = tables.clusters
        place = select(t.c.created_at).where(t.c.id == wanted.marker, t.c.project_id == wanted.project_id)
        moment = connection.execute(place).scalar()
        if moment is None:
            return None
        values |= {"moment": moment, "marker": wanted.marker}
    values |= {name: getattr(wanted, name) for name in ("status", "name") if getattr(wanted, name)}
    statement = _statement(bool(wanted.marker), bool(wanted.status), bool(wanted.name))
    found = _grouped(connection.execute(statement, values).all())
    following = found[wanted.limit - 1][0][0] if len(found) > wanted.limit else None
    return Page([_rendered(*one) for one in found[: wanted.limit]], following)


@cache
def _statement(marker: bool, status: bool, name: bool) -> Select[Any]:
    """The page's clusters with their nodes. Built once: building costs more than running."""
    t, i = tables.clusters, tables.instances
    columns = [_column(one) for one in COLUMNS]
    query = select(*columns).where(t.c.project_id == bindparam("project"), t.c.deleted_at.is_(None),
                                   t.c.proves.is_(None))  # fmt: skip
    if marker:
        place = tuple_(bindparam("moment", type_=UtcDateTime), bindparam("marker"))
        query = query.where(tuple_(t.c.created_at, t.c.id) < place)
    if status:
        query = query.where(t.c.status == bindparam("status"))
    if name:
        query = query.where(t.c.name == bindparam("name"))
    rows = query.order_by(t.c.created_at.desc(), t.c.id.desc()).limit(bindparam("rows")).subquery("page")
    nodes = [i.c[one].label(f"node_{one}") for one in NODE_COLUMNS]
    return select(*rows.c, *nodes).select_from(rows.outerjoin(i, i.c.cluster_id == rows.c.id))


def _column(name: str) -> Any:
    """A column of the page as the database has it: what is rendered already is not read once more."""
    column = tables.clusters.c[name]
    if name in JSON_COLUMNS:
        return cast(column, Text).label(name)
    return type_coerce(column, NullType()).label(name) if name in TIME_COLUMNS else column


def _grouped(rows: Sequence[Row[Any]]) -> list[tuple[tuple[Any, ...], tuple[tuple[Any, ...], ...]]]:
    """Each cluster's columns with the columns of its nodes, both in their order; the rows come one per node, in any.

    They are few: a database would have to copy all of them once more to sort them.
    """
    width = len(COLUMNS)
    nodes: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        of_one = nodes.setdefault(tuple(row[:width]), [])
        if row[width] is not None:
            of_one.append(tuple(row[width:]))
    newest_first = sorted(nodes, key=_AGE, reverse=True)
    return [(cluster, tuple(sorted(nodes[cluster], key=_NAME))) for cluster in newest_first]


@lru_cache(KEPT)
def _rendered(cluster: tuple[Any, ...], nodes: tuple[tuple[Any, ...], ...]) -> str:
    """A cluster's JSON. It follows from the columns alone, so that the same ones need no second rendering."""
    row = _Cluster(*cluster)
    read = row._replace(
        datastore=json.loads(row.datastore), flavor=json.loads(row.flavor),
        topology=json.loads(row.topology) if row.topology else None,
        endpoint=json.loads(row.endpoint) if row.endpoint else None, created_at=_moment(row.created_at),
        restored_to=_moment(row.restored_to) if row.restored_to else None,
        restored_in_place=json.loads(row.restored_in_place) if row.restored_in_place else None,
    )  # fmt: skip
    return json.dumps(views.cluster(read, [_Node(*node) for node in nodes]))


def _moment(kept: str | datetime) -> datetime:
    """A time as SQLite keeps it, a text, or as PostgreSQL gives it."""
    return in_utc(datetime.fromisoformat(kept) if isinstance(kept, str) else kept)


class _Cluster(NamedTuple):
    """A row of the page; the names are those of COLUMNS."""

    id: str
    name: str
    project_id: str
    status: str
    datastore: Any
    flavor: Any
    size: int
    volume_gb: int | None
    topology: Any
    endpoint: Any
    primary_id: str
    operation_id: str | None
    message: str
    deletion_protection: bool
    restored_from: str | None
    restored_to: Any
    restored_in_place: Any
    created_at: Any


class _Node(NamedTuple):
    """A node of it; the names are those of NODE_COLUMNS."""

    id: str
    name: str
    status: str
    addr: str
