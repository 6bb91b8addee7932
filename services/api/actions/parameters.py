"""Parameters of clusters: what is wanted as versions, what engines say of them, and what became of each wish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from services.api.actions import parameter_groups, scaling
from services.api.actions.clusters import get, lock
from services.api.actions.definitions import APPLIED, definitions
from services.api.actions.feed import announce
from services.api.actions.operations import start_operation
from services.api.domain.parameter_sets import ParameterSet, TakenGroup, stored
from services.api.domain.parameters import checked, merged, see_order
from services.api.store import tables
from shared.contracts.api import ParametersRequested
from shared.contracts.base import load
from shared.contracts.datastore_agentless import ParametersSeen
from shared.contracts.operations import OperationEnded
from shared.contracts.parameters import NodeParameters
from shared.db import Tx
from shared.errors import Conflict, NotFound

CHANGE = "change_parameters"
APPLYING, FAILED = "applying", parameter_groups.FAILED
# As a wish for a group: the one that the cluster has, as the cluster has it.
KEPT = ""


@dataclass(frozen=True)
class Wish:
    """What a user wants: `values` of the cluster's own by name, None for none; with `whole` no others; or an earlier `version`.

    `group` is the one that it is to have, by id or name, None for none; `fresh`: the one that it has, as it is by now.
    """

    values: Mapping[str, Any]
    author: str
    whole: bool = False
    restart_now: bool = False
    version: int | None = None
    group: str | None = KEPT
    fresh: bool = False


def change(tx: Tx, project_id: str, cluster_id: str, wish: Wish) -> str:
    """Ask for other parameters; returns the operation's id. Raises NotFound, Invalid, Conflict."""
    row = lock(tx, project_id, cluster_id)
    if wish.group or wish.fresh or wish.version is not None:
        parameter_groups.hold(tx, project_id)
    return begin(tx, row, *_sets(tx.connection, row, wish), wish)


def begin(tx: Tx, row: Row[Any], before: ParameterSet, after: ParameterSet, wish: Wish) -> str:
    """Have a cluster, which is locked, go from one set to another; returns the operation's id. Raises Conflict."""
    operation_id = start_operation(tx, CHANGE, row.id, row.project_id)
    number = _number(tx.connection, row.id)
    if after != before:
        number += 1
        tx.insert_new(
            tables.parameter_versions, cluster_id=row.id, version=number, **after.columns(), state=APPLYING,
            operation_id=operation_id, author=wish.author, at=tx.database.clock.now(),
        )  # fmt: skip
    announce(
        tx, ParametersRequested(cluster_id=row.id, operation_id=operation_id, project_id=row.project_id, version=number,
                                values=after.wanted, restart_now=wish.restart_now, author=wish.author), row.project_id,
    )  # fmt: skip
    return operation_id


def plan_of(connection: Connection, project_id: str, cluster_id: str, wish: Wish) -> dict[str, Any]:
    """What datastore_agentless is asked for a plan. Raises NotFound, Invalid, Conflict."""
    row = get(connection, project_id, cluster_id)
    _, after = _sets(connection, row, wish)
    return {"cluster_id": cluster_id, "values": after.wanted, "restart_now": wish.restart_now}


def current(connection: Connection, cluster_id: str) -> ParameterSet:
    """What is wanted of a cluster at present."""
    row = newest(connection, cluster_id)
    return stored(row) if row else ParameterSet()


def newest(connection: Connection, cluster_id: str) -> Row[Any] | None:
    """The version that is wanted at present: the last one that was not taken back."""
    t = tables.parameter_versions
    mine = select(t).where(t.c.cluster_id == cluster_id, t.c.state != FAILED)
    return connection.execute(mine.order_by(t.c.version.desc()).limit(1)).first()


def versions(connection: Connection, cluster_id: str, limit: int) -> list[Row[Any]]:
    """All that was ever wanted of a cluster, the latest first."""
    t = tables.parameter_versions
    mine = select(t).where(t.c.cluster_id == cluster_id)
    return list(connection.execute(mine.order_by(t.c.version.desc()).limit(limit)))


def node_rows(connection: Connection, cluster_id: str) -> dict[str, Row[Any]]:
    """What the nodes of a cluster were last seen to run with, by instance."""
    t = tables.node_parameters
    return {row.instance_id: row for row in connection.execute(select(t).where(t.c.cluster_id == cluster_id))}


def resume(tx: Tx, operation_id: str, cluster_id: str) -> None:
    """A change that failed is wanted again. Raises Conflict where another one was made since."""
    t = tables.parameter_versions
    mine = tx.connection.execute(select(t).where(t.c.operation_id == operation_id)).first()
    last = newest(tx.connection, cluster_id)
    if mine is not None and last is not None and last.version > mine.version:
        raise Conflict("the parameters were changed since", what_to_do="change them anew")
    if mine is not None and mine.group_id and not parameter_groups.stays(tx, mine.group_id):
        raise Conflict(f"the parameter group {mine.group_name} was deleted since", what_to_do="change them anew")
    tx.connection.execute(update(t).where(t.c.operation_id == operation_id).values(state=APPLYING))


def seen(tx: Tx, event: ParametersSeen) -> None:
    """Nodes were asked with what they run."""
    for node in event.nodes:
        _keep(tx, event.cluster_id, node, event.occurred_at)


def ended(tx: Tx, event: OperationEnded) -> None:
    """A change has come to its end, if that is what this operation was."""
    t = tables.parameter_versions
    state = APPLIED if event.status == "succeeded" else FAILED
    tx.connection.execute(
        update(t).where(t.c.operation_id == event.operation_id, t.c.state == APPLYING).values(state=state)
    )
    for node in event.result.get("nodes", ()) if "version" in event.result else ():
        _keep(tx, event.cluster_id, load(NodeParameters, node), event.occurred_at)


def forget(tx: Tx, cluster_id: str) -> None:
    """A cluster is gone."""
    for t in (tables.parameter_versions, tables.node_parameters):
        tx.remove(t.c.cluster_id, cluster_id)


def _sets(connection: Connection, row: Row[Any], wish: Wish) -> tuple[ParameterSet, ParameterSet]:
    """What is wanted at present, and what is from now on. Raises NotFound, Invalid, Conflict."""
    scaling.serves(row)
    known = definitions(connection, row.datastore["id"], row.datastore["name"])
    before = current(connection, row.id)
    if wish.version is None:
        own = merged(before.own, checked(known, wish.values, before.own), whole=wish.whole)
        after = ParameterSet(own, _group(connection, row, wish, before.group))
    else:
        after = _of_version(connection, row.id, wish.version)
        checked(known, after.wanted)
    if after.group is not None and after.group != before.group:
        # It was good when it was made; an engine may have been asked anew since.
        checked(known, after.group.parameters)
    if row.size > 1:
        see_order(known, before.wanted, after.wanted, restart_now=wish.restart_now)
    return before, after


def _group(connection: Connection, row: Row[Any], wish: Wish, present: TakenGroup | None) -> TakenGroup | None:
    """The group that a cluster is to have from now on. Raises Invalid, Conflict."""
    if wish.fresh and present is None:
        raise Conflict(f"cluster {row.name} has no parameter group",
                       what_to_do="name one in `parameter_group` of `PATCH .../parameters`")  # fmt: skip
    wanted = present.id if wish.fresh and present is not None else wish.group
    if wanted == KEPT or wanted is None:
        return present if wanted == KEPT else None
    return parameter_groups.take(connection, row.project_id, wanted, row.datastore)


def _of_version(connection: Connection, cluster_id: str, version: int) -> ParameterSet:
    """The set of an earlier version; 0 is the one without anything. Raises NotFound.

    Where its group was deleted since, what it had is the cluster's own.
    """
    t = tables.parameter_versions
    row = connection.execute(select(t).where(t.c.cluster_id == cluster_id, t.c.version == version)).first()
    if row is None and version != 0:
        raise NotFound(
            f"the cluster has no version {version} of its parameters",
            what_to_do="see its history for those that there are",
        )
    found = ParameterSet() if row is None else stored(row)
    gone = found.group is not None and parameter_groups.newest(connection, found.group.id) is None
    return ParameterSet(found.wanted) if gone else found


def _number(connection: Connection, cluster_id: str) -> int:
    """The number of the newest version, whatever became of it."""
    rows = versions(connection, cluster_id, 1)
    return int(rows[0].version) if rows else 0


def _keep(tx: Tx, cluster_id: str, node: NodeParameters, moment: Any) -> None:
    t, i = tables.node_parameters, tables.instances
    if tx.connection.execute(select(i.c.id).where(i.c.id == node.instance_id, i.c.status != "deleted")).first() is None:
        return
    values = {"live": node.live, "states": node.states, "seen_at": moment}
    older = (t.c.instance_id == node.instance_id, t.c.seen_at < moment)
    if tx.connection.execute(update(t).where(*older).values(**values)).rowcount == 0:
        tx.insert_new(t, instance_id=node.instance_id, cluster_id=cluster_id, **values)
