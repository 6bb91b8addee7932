"""A parameter group is changed: every cluster that has it gets an operation of its own, or is out of date until it can have one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from services.api.actions import operations, parameter_groups, scaling
from services.api.actions.definitions import definitions
from services.api.actions.parameters import FAILED, Wish, begin
from services.api.domain.parameter_sets import ParameterSet, TakenGroup, stored
from services.api.domain.parameters import checked, merged, see_order
from services.api.store import tables
from shared.db import Tx
from shared.errors import Conflict, FieldError, Invalid

OUT_OF_DATE = "out_of_date"


@dataclass(frozen=True)
class Move:
    """What a change of its group means for a cluster; `waits` is why it cannot have it now, empty for nothing."""

    cluster: Row[Any]
    before: ParameterSet
    after: ParameterSet
    waits: str


@dataclass(frozen=True)
class Standing:
    """How a cluster stands to its group: applied, applying or out_of_date; `version` is the one that it has."""

    id: str
    name: str
    version: int
    state: str
    operation: str | None
    message: str


def change(tx: Tx, project_id: str, group_id: str, wish: Wish, description: str | None = None) -> None:
    """Change a group, and begin an operation on each cluster that can have one. Raises NotFound, Invalid, Conflict.

    With nothing that is new those that are out of date are brought up to date; with `restart_now` all restart for what waits.
    """
    parameter_groups.get(tx.connection, project_id, group_id)
    # Clusters before groups, as everybody locks.
    held = _locked(tx, parameter_groups.members(tx.connection, group_id))
    row = parameter_groups.lock(tx, project_id, group_id)
    after = _changed(tx.connection, row, wish)
    moves = list(_moves(tx.connection, row, after, wish))
    text = row.description if description is None else description
    if after.version != row.version or text != row.description:
        t, now = tables.parameter_groups, tx.database.clock.now()
        values = {"parameters": dict(after.parameters), "version": after.version, "author": wish.author}
        tx.connection.execute(update(t).where(t.c.id == group_id).values(description=text, changed_at=now, **values))
    for move in moves:
        # Who has taken the group in this very moment has it as it was, and is shown to be out of date.
        if move.cluster.id in held and not move.waits:
            begin(tx, move.cluster, move.before, move.after, wish)


def moves_of(connection: Connection, project_id: str, group_id: str, wish: Wish) -> list[Move]:
    """What a change of a group would mean for each cluster that has it. Raises NotFound, Invalid, Conflict."""
    row = parameter_groups.get(connection, project_id, group_id)
    return list(_moves(connection, row, _changed(connection, row, wish), wish))


def standings(connection: Connection, group: Row[Any]) -> list[Standing]:
    """How each cluster that has a group stands to it, by name."""
    there = parameter_groups.members(connection, group.id)
    failed = _failures(connection, group)
    rows = _clusters(connection, [one.cluster_id for one in there])
    return [_standing(connection, group, one, rows[one.cluster_id], failed) for one in there]


def _standing(connection: Connection, group: Row[Any], has: Row[Any], cluster: Row[Any],
              failed: dict[str, Row[Any]]) -> Standing:  # fmt: skip
    operation, state, message = None, OUT_OF_DATE, ""
    last = failed.get(cluster.id)
    if has.group_version == group.version:
        operation, state = has.operation_id, has.state
    elif last is not None and last.version > has.version:
        operation = last.operation_id
        message = (last.problem or {}).get("message") or "it was not applied"
    else:
        message = _hindrance(connection, cluster) or "it can be brought up to date"
    return Standing(cluster.id, cluster.name, has.group_version, state, operation, message)


def _failures(connection: Connection, group: Row[Any]) -> dict[str, Row[Any]]:
    """The last try at a group's newest version that was taken back, by cluster."""
    v, o = tables.parameter_versions, tables.operations
    query: Select[Any] = select(v.c.cluster_id, v.c.version, v.c.operation_id, o.c.problem)
    query = query.outerjoin(o, o.c.id == v.c.operation_id)
    mine = (v.c.group_id == group.id, v.c.group_version == group.version, v.c.state == FAILED)
    return {row.cluster_id: row for row in connection.execute(query.where(*mine).order_by(v.c.version))}


def _changed(connection: Connection, row: Row[Any], wish: Wish) -> TakenGroup:
    """The group as it is from now on. Raises Invalid, Conflict."""
    before = dict(row.parameters)
    values = dict[str, str | None]()
    if wish.values:
        known = definitions(connection, row.datastore["id"], row.datastore["name"])
        values = checked(known, wish.values, before)
    after = merged(before, values, whole=wish.whole)
    return TakenGroup(row.id, row.name, row.version + (after != before), after)


def _moves(connection: Connection, row: Row[Any], group: TakenGroup, wish: Wish) -> Iterator[Move]:
    """What it means for each cluster that is not where it would be. Raises Invalid where one could not get there."""
    there = parameter_groups.members(connection, group.id)
    rows = _clusters(connection, [one.cluster_id for one in there])
    for one in there:
        before, cluster = stored(one), rows[one.cluster_id]
        after = ParameterSet(before.own, group)
        waits = _hindrance(connection, cluster)
        try:
            _see_order(connection, cluster, before, after, wish)
        except Invalid as error:
            if one.group_version == row.version:
                raise _of_cluster(cluster.name, error) from error
            # It is the way from an older version: who changes the group now need not answer for that.
            waits = waits or f"{error.errors[0].field}: {error.errors[0].reason}"
        if before != after or wish.restart_now:
            yield Move(cluster, before, after, waits)


def _see_order(
    connection: Connection, cluster: Row[Any], before: ParameterSet, after: ParameterSet, wish: Wish
) -> None:
    """Raise Invalid where the nodes of a cluster could not follow each other."""
    if cluster.size > 1 and before.wanted != after.wanted:
        known = definitions(connection, cluster.datastore["id"], cluster.datastore["name"])
        see_order(known, before.wanted, after.wanted, restart_now=wish.restart_now)


def _of_cluster(name: str, error: Invalid) -> Invalid:
    """The same objections, each with whose they are."""
    named = tuple(FieldError(one.field, f"of cluster {name}: {one.reason}") for one in error.errors)
    return Invalid(error.message, named, what_to_do=error.what_to_do)


def _hindrance(connection: Connection, row: Row[Any]) -> str:
    """Why a cluster's parameters cannot be changed at this moment; empty for nothing."""
    try:
        scaling.serves(row)
    except Conflict as error:
        return error.message
    o = tables.operations
    alone = (o.c.cluster_id == row.id, o.c.exclusive, o.c.status.in_(operations.RUNNING))
    return operations.BUSY if connection.execute(select(o.c.id).where(*alone)).first() is not None else ""


def _locked(tx: Tx, there: Sequence[Row[Any]]) -> set[str]:
    """Have the clusters of these rows stay as they are until this transaction ends; returns their ids."""
    c = tables.clusters
    query = select(c.c.id).where(c.c.id.in_([one.cluster_id for one in there]), c.c.deleted_at.is_(None))
    return set(tx.connection.execute(query.order_by(c.c.id).with_for_update()).scalars())


def _clusters(connection: Connection, ids: Sequence[str]) -> dict[str, Row[Any]]:
    c = tables.clusters
    return {row.id: row for row in connection.execute(select(c).where(c.c.id.in_(ids)))}
