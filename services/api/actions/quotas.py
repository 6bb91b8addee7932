"""Limits: how much a project may have at a time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select, update

from services.api.actions.access import lock_project
from services.api.store import tables
from shared.db import Tx
from shared.errors import Conflict

KINDS = ("clusters", "instances", "volume_gb")
_WORDS = {"clusters": "clusters", "instances": "instances", "volume_gb": "GB of volumes"}
Amounts = dict[str, int | None]
# Asked for every cluster and node that is wanted: it is put together once.
_OF_PROJECT = select(tables.quotas).where(tables.quotas.c.project_id == bindparam("of_project"))


def limits(connection: Connection, project_id: str) -> Amounts:
    """A project's limits; None is none."""
    row = connection.execute(_OF_PROJECT, {"of_project": project_id}).first()
    return {kind: None if row is None else row._mapping[kind] for kind in KINDS}


def used(connection: Connection, project_id: str) -> Amounts:
    """What a project has: clusters that are not deleted, their nodes and volumes, also as large as these are about to be."""
    t = tables.clusters
    volume_gb = case(
        (t.c.volume_gb_wanted > t.c.volume_gb, t.c.volume_gb_wanted), else_=func.coalesce(t.c.volume_gb, 0)
    )
    query = select(
        func.count(), func.coalesce(func.sum(t.c.size), 0), func.coalesce(func.sum(t.c.size * volume_gb), 0),
    ).where(t.c.project_id == project_id, t.c.deleted_at.is_(None))  # fmt: skip
    return dict(zip(KINDS, (int(number) for number in connection.execute(query).one()), strict=True))


def put(tx: Tx, project_id: str, wanted: Amounts) -> None:
    """Set a project's limits; what it has already may be more. Raises NotFound."""
    lock_project(tx, project_id)
    t = tables.quotas
    if tx.connection.execute(update(t).where(t.c.project_id == project_id).values(**wanted)).rowcount == 0:
        tx.insert_new(t, project_id=project_id, **wanted)


def make_room(tx: Tx, project_id: str, asked: dict[str, Any]) -> None:
    """See that a cluster fits, or more nodes of one (then `clusters` is 0), or more GB of each volume (then `instances` is 0 as
    well). Raises Conflict with the limit that would break.

    The project's row is locked, so that two who ask at the same time cannot both have the last place.
    """
    lock_project(tx, project_id)
    allowed = limits(tx.connection, project_id)
    if all(limit is None for limit in allowed.values()):
        return
    size = asked["size"]
    more = {
        "clusters": asked.get("clusters", 1),
        "instances": asked.get("instances", size),
        "volume_gb": size * (asked["volume_gb"] or 0),
    }
    for kind, has in used(tx.connection, project_id).items():
        limit = allowed[kind]
        if limit is not None and (has or 0) + more[kind] > limit:
            raise Conflict(
                f"the project may have {limit} {_WORDS[kind]}; it has {has}, and this needs {more[kind]} more",
                what_to_do="delete a cluster, or ask an administrator for a higher quota",
            )
