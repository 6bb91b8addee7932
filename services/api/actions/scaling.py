"""A cluster that grows by replicas, and loses them again; it serves all the while."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from services.api.actions import quotas
from services.api.actions.choices import reference
from services.api.actions.clusters import add_instances, get, instance, lock
from services.api.actions.feed import announce
from services.api.actions.operations import operation, start_operation
from services.api.store import tables
from shared.contracts.api import NodesRemoveRequested, NodesRequested
from shared.contracts.base import dump, load
from shared.contracts.values import Flavor, Topology
from shared.db import Tx
from shared.errors import Conflict, FieldError, Invalid, NotFound

ADD, REMOVE = "add_nodes", "remove_node"


def add_nodes(tx: Tx, project_id: str, cluster_id: str, count: int, max_size: int) -> str:
    """Ask for `count` more replicas; returns the operation's id. Raises NotFound, Invalid, Conflict."""
    row = lock(tx, project_id, cluster_id)
    datastore, together = _room(tx.connection, row, count, max_size)
    quotas.make_room(tx, project_id, {"clusters": 0, "size": count, "volume_gb": row.volume_gb})
    operation_id = start_operation(tx, ADD, cluster_id, project_id)
    refs = add_instances(tx, project_id, cluster_id, operation_id, _next_names(tx.connection, row, count))
    c = tables.clusters
    tx.connection.execute(update(c).where(c.c.id == cluster_id).values(size=row.size + count, topology=dump(together)))
    wish = NodesRequested(
        cluster_id=cluster_id, operation_id=operation_id, project_id=project_id, flavor=Flavor(**row.flavor),
        instances=refs, volume_gb=row.volume_gb, topology=together,
        datastore=reference(datastore),
    )  # fmt: skip
    announce(tx, wish, project_id)
    return operation_id


def remove_node(tx: Tx, project_id: str, cluster_id: str, instance_id: str) -> str:
    """Ask for a replica's end; returns the operation's id. Asking again gives the same. Raises NotFound, Conflict."""
    row = lock(tx, project_id, cluster_id)
    node = node_of(tx.connection, row, instance_id)
    if node.status == "deleting" and row.operation_id:
        under_way = operation(tx.connection, project_id, row.operation_id)
        if under_way.kind in (ADD, REMOVE):
            return str(under_way.id)
    _see_it_can_go(tx.connection, row, node)
    operation_id = start_operation(tx, REMOVE, cluster_id, project_id)
    request_removal(tx, project_id, cluster_id, operation_id, (instance_id,))
    return operation_id


def removable(connection: Connection, row: Row[Any], instance_id: str) -> Row[Any]:
    """The node, if the cluster can do without it. Raises NotFound, Conflict."""
    node = node_of(connection, row, instance_id)
    _see_it_can_go(connection, row, node)
    return node


def node_of(connection: Connection, row: Row[Any], instance_id: str) -> Row[Any]:
    """A cluster's instance. Raises NotFound."""
    node = instance(connection, row.project_id, instance_id)
    if node.cluster_id != row.id:
        raise NotFound(f"cluster {row.name} has no instance {instance_id[:64]}")
    return node


def _see_it_can_go(connection: Connection, row: Row[Any], node: Row[Any]) -> None:
    """Raises Conflict where the cluster cannot do without the node."""
    serves(row)
    if node.id == row.primary_id or row.size == 1:
        raise Conflict(f"instance {node.name} is the primary: all others follow it",
                       what_to_do="switch over to another node first, or delete the cluster")  # fmt: skip
    kept = row.restored_in_place
    if kept and kept["instance"] == node.id:
        raise Conflict(f"what {row.name} had before it was restored lies on {node.name}",
                       what_to_do="confirm or undo that restore first")  # fmt: skip
    if (row.topology or {}).get("mode") == "sync" and node.status == "active" and replicas(connection, row) == 1:
        raise Conflict(f"a write to {row.name} waits until a replica has it, and {node.name} is its only one",
                       what_to_do="add a node first")  # fmt: skip


def plan_of(connection: Connection, project_id: str, cluster_id: str, count: int, max_size: int) -> dict[str, Any]:
    """What datastore_agentless is asked for a plan of more nodes. Raises NotFound, Invalid, Conflict."""
    row = get(connection, project_id, cluster_id)
    _, together = _room(connection, row, count, max_size)
    return {"cluster_id": cluster_id, "names": _next_names(connection, row, count), "mode": together.mode}


def take_back(tx: Tx, project_id: str, cluster_id: str, operation_id: str) -> None:
    """Ask for the end of the nodes that an operation was to add, also of those that serve by now."""
    request_removal(tx, project_id, cluster_id, operation_id, of_operation(tx.connection, operation_id))


def of_operation(connection: Connection, operation_id: str) -> tuple[str, ...]:
    """The ids of the nodes that an operation has added, or is about to, but for those that are going by now."""
    i = tables.instances
    mine = (i.c.operation_id == operation_id, i.c.status.not_in(("deleting", "deleted")))
    return tuple(connection.execute(select(i.c.id).where(*mine).order_by(i.c.name)).scalars())


def request_removal(tx: Tx, project_id: str, cluster_id: str, operation_id: str, ids: tuple[str, ...]) -> None:
    """Have these nodes leave."""
    i = tables.instances
    tx.connection.execute(update(i).where(i.c.id.in_(ids)).values(status="deleting"))
    wish = NodesRemoveRequested(
        cluster_id=cluster_id, operation_id=operation_id, project_id=project_id, instance_ids=ids
    )
    announce(tx, wish, project_id)


def count_nodes(tx: Tx, cluster_id: str) -> None:
    """Have the cluster's size be what there is."""
    c, i = tables.clusters, tables.instances
    there = select(func.count()).where(i.c.cluster_id == cluster_id, i.c.status != "deleted").scalar_subquery()
    tx.connection.execute(update(c).where(c.c.id == cluster_id).values(size=there))


def serves(row: Row[Any]) -> None:
    """Raise Conflict unless the cluster serves."""
    if row.status not in ("active", "degraded"):
        remedy = "start it first" if row.status == "stopped" else "wait until it is active"
        raise Conflict(f"cluster {row.name} is {row.status}", what_to_do=remedy)


def _datastore(connection: Connection, row: Row[Any]) -> Row[Any]:
    """The entry that the cluster was made of, even if nobody can choose it any more. Raises Conflict without replicas."""
    t = tables.datastores
    found = connection.execute(select(t).where(t.c.id == row.datastore["id"])).first()
    if found is None or not found.modes:
        raise Conflict(f"{row.datastore['name']} has no replicas here", what_to_do="make a larger cluster instead")
    return found


def _room(connection: Connection, row: Row[Any], count: int, max_size: int) -> tuple[Row[Any], Topology]:
    """What the nodes to come are made of, and how they work together. Raises Invalid, Conflict where there is no place."""
    serves(row)
    datastore = _datastore(connection, row)
    if row.size + count > max_size:
        there = f"the cluster has {row.size} nodes of {max_size} (DTROVE_MAX_CLUSTER_SIZE)"
        reason = (
            f"must be at most {max_size - row.size}: {there}" if row.size < max_size else f"there is no room: {there}"
        )
        raise Invalid("the request was not accepted", (FieldError("count", reason),))
    return datastore, load(Topology, row.topology) if row.topology else Topology(mode=datastore.modes[0])


def _next_names(connection: Connection, row: Row[Any], count: int) -> list[str]:
    """Numbered on from all that the cluster has ever had: a name never means another server than it did before."""
    i = tables.instances
    names = connection.execute(select(i.c.name).where(i.c.cluster_id == row.id)).scalars()
    last = max((int(tail) for tail in (name.rpartition("-")[2] for name in names) if tail.isdigit()), default=0)
    return [f"{row.name}-{number}" for number in range(last + 1, last + count + 1)]


def replicas(connection: Connection, row: Row[Any]) -> int:
    """How many replicas serve."""
    i = tables.instances
    alive = (i.c.cluster_id == row.id, i.c.status == "active", i.c.id != row.primary_id)
    return int(connection.execute(select(func.count()).where(*alive)).scalar_one())
