"""Parameter groups as rows: made, looked up, described, deleted; and the clusters that have one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, or_, select

from services.api.actions import definitions
from services.api.actions.access import lock_project
from services.api.actions.choices import find_datastore
from services.api.domain.parameter_sets import ParameterSet, TakenGroup
from services.api.store import tables
from shared.contracts.base import new_id
from shared.db import Tx
from shared.errors import Conflict, FieldError, Invalid, NotFound

FIELD = "parameter_group"
FAILED = "failed"


def create(tx: Tx, project_id: str, asked: dict[str, Any], author: str) -> str:
    """Make a group; returns its id. Raises NotFound, Invalid, Conflict."""
    lock_project(tx, project_id)
    datastore = find_datastore(tx.connection, asked["datastore"])
    chosen = definitions.first_set(tx.connection, datastore, asked["parameters"])
    group_id, now = new_id(), tx.database.clock.now()
    is_new = tx.insert_new(
        tables.parameter_groups, id=group_id, project_id=project_id, name=asked["name"],
        description=asked["description"], parameters=chosen, version=1, author=author, created_at=now, changed_at=now,
        datastore={"id": datastore.id, "name": datastore.name, "manager": datastore.manager, "version": datastore.version},
    )  # fmt: skip
    if not is_new:
        raise Conflict(f"a parameter group called {asked['name']!r} exists in this project",
                       what_to_do="choose another name")  # fmt: skip
    return group_id


def get(connection: Connection, project_id: str, group_id: str) -> Row[Any]:
    """A group of this project. Raises NotFound, also for another project's."""
    return _found(connection.execute(_mine(project_id, group_id)).first(), group_id)


def lock(tx: Tx, project_id: str, group_id: str) -> Row[Any]:
    """The same, and nobody changes it or takes it until this transaction ends. Raises NotFound.

    Clusters are locked before groups, and groups before their project.
    """
    return _found(tx.connection.execute(_mine(project_id, group_id).with_for_update()).first(), group_id)


def hold(tx: Tx, project_id: str) -> None:
    """Have every group of a project stay as it is until this transaction ends: one of them is about to be taken."""
    t = tables.parameter_groups
    tx.connection.execute(select(t.c.id).where(t.c.project_id == project_id).order_by(t.c.id).with_for_update()).all()


def stays(tx: Tx, group_id: str) -> bool:
    """Whether a group is there, and then is until this transaction ends."""
    t = tables.parameter_groups
    return tx.connection.execute(select(t.c.id).where(t.c.id == group_id).with_for_update()).first() is not None


def take(connection: Connection, project_id: str, wanted: str, datastore: dict[str, Any]) -> TakenGroup:
    """A group by id or name as it is now, for a cluster of this datastore. Raises Invalid."""
    t = tables.parameter_groups
    mine = select(t).where(t.c.project_id == project_id, (t.c.id == wanted) | (t.c.name == wanted))
    row = connection.execute(mine.order_by(t.c.id != wanted)).first()
    if row is None:
        raise _refused(f"there is no parameter group {wanted[:80]!r}")
    if row.datastore["id"] != datastore["id"]:
        raise _refused(f"{row.name} is for {row.datastore['name']}, the cluster has {datastore['name']}")
    return TakenGroup(row.id, row.name, row.version, row.parameters)


def first_set(connection: Connection, project_id: str, datastore: Row[Any], asked: dict[str, Any]) -> ParameterSet:
    """What a cluster to be made is to run with. Raises Invalid, Conflict."""
    own = definitions.first_set(connection, datastore, asked["parameters"])
    wanted = asked[FIELD]
    kind = {"id": datastore.id, "name": datastore.name}
    return ParameterSet(own, take(connection, project_id, wanted, kind) if wanted else None)


def newest(connection: Connection, group_id: str) -> int | None:
    """The number of a group's newest version; None where it was deleted."""
    t = tables.parameter_groups
    return connection.execute(select(t.c.version).where(t.c.id == group_id)).scalar_one_or_none()


def members(connection: Connection, group_id: str) -> list[Row[Any]]:
    """The clusters that have a group, by name: of each the version that is wanted of its parameters at present."""
    c, v = tables.clusters, tables.parameter_versions
    query = select(v).join(c, c.c.id == v.c.cluster_id).where(v.c.group_id == group_id, v.c.version == _last())
    return list(connection.execute(query.order_by(c.c.name)))


def remove(tx: Tx, project_id: str, group_id: str) -> None:
    """Delete a group that no cluster has, or would have again if the change that runs on it failed. Raises NotFound, Conflict."""
    row = lock(tx, project_id, group_id)
    c, v = tables.clusters, tables.parameter_versions
    counts = or_(v.c.version == _last(), v.c.version == _last(applied=True))
    users = select(c.c.name).where(exists().where(v.c.cluster_id == c.c.id, v.c.group_id == group_id, counts))
    if names := list(tx.connection.execute(users.order_by(c.c.name)).scalars()):
        raise Conflict(f"clusters have the parameter group {row.name}: {', '.join(names)}",
                       what_to_do="first have them take another one, or none")  # fmt: skip
    t = tables.parameter_groups
    tx.remove(t.c.id, group_id)


def _last(*, applied: bool = False) -> Any:
    """The number of a cluster's last version that was not taken back, or is what its engines have."""
    v = tables.parameter_versions
    other = v.alias()
    fits = other.c.state == definitions.APPLIED if applied else other.c.state != FAILED
    last = select(func.max(other.c.version)).where(other.c.cluster_id == v.c.cluster_id, fits)
    return last.correlate(v).scalar_subquery()


def _mine(project_id: str, group_id: str) -> Select[Any]:
    t = tables.parameter_groups
    return select(t).where(t.c.id == group_id, t.c.project_id == project_id)


def _found(row: Row[Any] | None, group_id: str) -> Row[Any]:
    if row is None:
        raise NotFound(f"there is no parameter group {group_id[:64]}")
    return row


def _refused(reason: str) -> Invalid:
    return Invalid(
        "the request was not accepted", (FieldError(FIELD, reason),), what_to_do="see `GET /v1/parameter-groups`"
    )
