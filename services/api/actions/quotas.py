"""Limits: how much a project may have at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select, update

from services.api.actions.access import lock_project
from services.api.domain.backups import COUNTED, in_gb
from services.api.store import tables
from shared.db import Tx
from shared.errors import Conflict

_WORDS = {
    "clusters": "clusters", "instances": "instances", "volume_gb": "GB of volumes", "backups": "backups",
    "backup_gb": "GB of backups and exports",
}  # fmt: skip
KINDS = tuple(_WORDS)
Amounts = dict[str, int | None]
# Asked for every cluster and node that is wanted: it is put together once.
_OF_PROJECT = select(tables.quotas).where(tables.quotas.c.project_id == bindparam("of_project"))


def limits(connection: Connection, project_id: str) -> Amounts:
    """A project's limits; None is none."""
    row = connection.execute(_OF_PROJECT, {"of_project": project_id}).first()
    return {kind: None if row is None else row._mapping[kind] for kind in KINDS}


def used(connection: Connection, project_id: str) -> Amounts:
    """What a project has: clusters that are not deleted, their nodes and volumes, also as large as these are about to be; backups,
    and what is kept of them. What proves a backup is no cluster to its user, but a server, with a volume.
    """
    t = tables.clusters
    volume_gb = case(
        (t.c.volume_gb_wanted > t.c.volume_gb, t.c.volume_gb_wanted), else_=func.coalesce(t.c.volume_gb, 0)
    )
    query = select(
        func.coalesce(func.sum(case((t.c.proves.is_(None), 1), else_=0)), 0),
        func.coalesce(func.sum(t.c.size), 0), func.coalesce(func.sum(t.c.size * volume_gb), 0),
    ).where(t.c.project_id == project_id, t.c.deleted_at.is_(None))  # fmt: skip
    backups, kept = _backups(connection, project_id)
    numbers = (*connection.execute(query).one(), backups, in_gb(kept))
    return dict(zip(KINDS, (int(number) for number in numbers), strict=True))


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
    size = asked["size"]
    more = {
        "clusters": asked.get("clusters", 1),
        "instances": asked.get("instances", size),
        "volume_gb": size * (asked["volume_gb"] or 0),
    }
    lock_project(tx, project_id)
    _refuse_beyond(tx, project_id, more, "delete a cluster")


def make_room_for_backup(tx: Tx, project_id: str, about_bytes: int) -> None:
    """See that one more backup fits, which will be about so large. Raises Conflict with the limit that would break."""
    lock_project(tx, project_id)
    _, kept = _backups(tx.connection, project_id)
    # Of one whose size nobody can guess at least something is kept.
    more = {"backups": 1, "backup_gb": in_gb(kept + max(1, about_bytes)) - in_gb(kept)}
    _refuse_beyond(tx, project_id, more, "delete a backup")


def make_room_for_export(tx: Tx, project_id: str, about_bytes: int) -> None:
    """See that one more export fits, which will be about so large. Raises Conflict with the limit that would break."""
    lock_project(tx, project_id)
    _, kept = _backups(tx.connection, project_id)
    more = {"backup_gb": in_gb(kept + max(1, about_bytes)) - in_gb(kept)}
    _refuse_beyond(tx, project_id, more, "delete an export or a backup")


def _refuse_beyond(tx: Tx, project_id: str, more: Mapping[str, int], way_out: str) -> None:
    allowed = limits(tx.connection, project_id)
    if all(allowed[kind] is None for kind in more):
        return
    there = used(tx.connection, project_id)
    for kind, needed in more.items():
        limit, has = allowed[kind], there[kind] or 0
        if limit is not None and has + needed > limit:
            raise Conflict(
                f"the project may have {limit} {_WORDS[kind]}; it has {has}, and this needs {needed} more",
                what_to_do=f"{way_out}, or ask an administrator for a higher quota",
            )


def _backups(connection: Connection, project_id: str) -> tuple[int, int]:
    """How many backups a project has or is about to, and how many bytes are kept of them, and of exports."""
    t, e = tables.backups, tables.exports
    counted = func.coalesce(func.sum(case((t.c.status.in_(COUNTED), 1), else_=0)), 0)
    query = select(counted, func.coalesce(func.sum(t.c.counted_bytes), 0)).where(t.c.project_id == project_id)
    number, kept = connection.execute(query).one()
    exported = select(func.coalesce(func.sum(e.c.counted_bytes), 0)).where(e.c.project_id == project_id)
    return int(number), int(kept) + int(connection.execute(exported).scalar_one())
