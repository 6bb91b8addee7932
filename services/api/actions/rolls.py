"""A cluster is to be started, stopped or restarted, node after node; and what became of that."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, update

from services.api.actions import health, nodes, operations, scaling
from services.api.actions.clusters import get, lock
from services.api.actions.feed import announce, said_since
from services.api.actions.operations import start_operation
from services.api.store import tables
from shared.contracts import datastore_agentless as databases
from shared.contracts.api import ClusterRestartRequested, ClusterStartRequested, ClusterStopRequested
from shared.db import Tx
from shared.errors import Conflict

START, STOP, RESTART = "start", "stop", "restart"


def request(tx: Tx, project_id: str, cluster_id: str, action: str, instance_id: str | None = None) -> str:
    """Ask for it, of a restart also for one instance alone; returns the operation's id. Raises NotFound, Conflict."""
    row = lock(tx, project_id, cluster_id)
    wanted = _checked(tx.connection, row, action, instance_id)
    operation_id = start_operation(tx, f"{action}_cluster", cluster_id, project_id)
    if action == RESTART:
        announce(tx, ClusterRestartRequested(cluster_id=cluster_id, operation_id=operation_id, project_id=project_id,
                                             instance_id=wanted), project_id)  # fmt: skip
        return operation_id
    wish = ClusterStartRequested if action == START else ClusterStopRequested
    announce(tx, wish(cluster_id=cluster_id, operation_id=operation_id, project_id=project_id), project_id)
    return operation_id


def plan_of(
    connection: Connection, project_id: str, cluster_id: str, action: str, instance_id: str | None
) -> dict[str, Any]:
    """What datastore_agentless is asked for a plan. Raises NotFound, Conflict."""
    row = get(connection, project_id, cluster_id)
    wanted = _checked(connection, row, action, instance_id)
    return {"cluster_id": row.id, "action": action, "instance_id": wanted}


def _checked(connection: Connection, row: Row[Any], action: str, instance_id: str | None) -> str:
    """The instance that is named, or empty for all. Raises NotFound, Conflict where the cluster or the instance is not fit."""
    if action == START and row.status != "stopped":
        raise Conflict(
            f"cluster {row.name} is {row.status}", what_to_do="only a cluster that is stopped can be started"
        )
    if action != START:
        scaling.serves(row)
    if instance_id is None:
        return ""
    named = scaling.node_of(connection, row, instance_id)
    if named.status != "active":
        raise Conflict(f"instance {named.name} is {named.status}", what_to_do="name another one, or none")
    return str(named.id)


def stopped(tx: Tx, event: databases.ClusterStopped) -> None:
    """No database of the cluster runs; nobody looks at them any more."""
    if not _said_since(tx, event, "cluster.started"):
        _become(tx, event, "stopped", ("active", "degraded"))
    operations.end(tx, event.operation_id, "succeeded", result=event.result)


def started(tx: Tx, event: databases.ClusterStarted) -> None:
    """The cluster serves again, also where a replica of it does not."""
    if not _said_since(tx, event, "cluster.stopped"):
        _become(tx, event, "active", ("stopped",))
    status = "failed" if event.problem else "succeeded"
    operations.end(tx, event.operation_id, status, event.problem, event.result)


def restarted(tx: Tx, event: databases.ClusterRestarted) -> None:
    """All is as it was, but for the processes."""
    operations.end(tx, event.operation_id, "succeeded", result=event.result)


def _become(
    tx: Tx, event: databases.ClusterStopped | databases.ClusterStarted, status: str, when: tuple[str, ...]
) -> None:
    c = tables.clusters
    here = update(c).where(c.c.id == event.cluster_id, c.c.status.in_(when))
    if tx.connection.execute(here.values(status=status, message="")).rowcount:
        nodes.settle_all(tx, event.cluster_id)
        health.forget_before(tx, event.cluster_id, event.occurred_at)
        health.settle(tx, event.cluster_id)


def _said_since(tx: Tx, event: databases.ClusterStopped | databases.ClusterStarted, topic: str) -> bool:
    """Whether the opposite was said after this."""
    c = tables.clusters
    row = tx.connection.execute(c.select().where(c.c.id == event.cluster_id)).first()
    about = ("cluster_id", event.cluster_id)
    return row is not None and said_since(tx, row.project_id, (topic,), about, event.occurred_at)
