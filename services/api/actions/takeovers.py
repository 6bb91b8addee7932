"""Another node is to take a cluster's writes: while the primary is well, or because it is dead."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from services.api.actions import scaling
from services.api.actions.clusters import get, lock
from services.api.actions.feed import announce
from services.api.actions.operations import make_way, start_operation
from shared.contracts.api import FailoverRequested, SwitchoverRequested
from shared.db import Tx
from shared.errors import Conflict

SWITCHOVER, FAILOVER = "switchover", "failover"


def switch_over(tx: Tx, project_id: str, cluster_id: str, asked: dict[str, Any]) -> str:
    """Ask for a switchover; returns the operation's id. Raises NotFound, Conflict."""
    row = lock(tx, project_id, cluster_id)
    wanted = successor(tx.connection, row, asked["instance"])
    operation_id = start_operation(tx, SWITCHOVER, cluster_id, project_id)
    wish = SwitchoverRequested(
        cluster_id=cluster_id, operation_id=operation_id, project_id=project_id, instance_id=wanted
    )
    announce(tx, wish, project_id)
    return operation_id


def fail_over(tx: Tx, project_id: str, cluster_id: str, asked: dict[str, Any]) -> str:
    """Ask for a failover; returns the operation's id. Raises NotFound, Conflict."""
    row = lock(tx, project_id, cluster_id)
    wanted = successor(tx.connection, row, asked["instance"])
    make_way(tx, cluster_id)
    operation_id = start_operation(tx, FAILOVER, cluster_id, project_id)
    wish = FailoverRequested(cluster_id=cluster_id, operation_id=operation_id, project_id=project_id, instance_id=wanted,
                             accept_loss=asked["accept_loss"])  # fmt: skip
    announce(tx, wish, project_id)
    return operation_id


def plan_of(connection: Connection, project_id: str, cluster_id: str, instance_id: str | None, *, fenced: bool) -> Any:
    """What datastore_agentless is asked for a plan. Raises NotFound, Conflict."""
    row = get(connection, project_id, cluster_id)
    wanted = successor(connection, row, instance_id)
    return {"cluster_id": row.id, "instance_id": wanted, "fenced": fenced}


def successor(connection: Connection, row: Row[Any], instance_id: str | None) -> str:
    """The replica that is named, or empty for none, if the cluster can have another primary. Raises NotFound, Conflict."""
    scaling.serves(row)
    # Of a cluster of one node that an older release has made nobody knows who is the primary.
    if not row.primary_id or not scaling.replicas(connection, row):
        raise Conflict(f"cluster {row.name} has no replica that could take over", what_to_do="add a node first")
    if instance_id is None:
        return ""
    named = scaling.node_of(connection, row, instance_id)
    if named.id == row.primary_id:
        raise Conflict(f"instance {named.name} is the primary already", what_to_do="name a replica, or none")
    if named.status != "active":
        raise Conflict(f"instance {named.name} is {named.status}", what_to_do="name another replica, or none")
    return str(named.id)
