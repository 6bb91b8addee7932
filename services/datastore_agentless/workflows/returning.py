"""How a node that is apart comes back: its server runs again, its data are the primary's, and it follows."""

from __future__ import annotations

from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.store import clusters
from shared.contracts.base import new_id
from shared.contracts.datastore_agentless import NodePowerRequested
from shared.contracts.operations import OperationBegun, OperationEnded
from shared.contracts.values import Problem
from shared.db import Tx, tasks
from shared.workflow import Task, TaskDraft, task_id

REJOIN = "rejoin_node"


def bring_back(tx: Tx, cluster: Cluster, node: Instance, *, switched_off: bool) -> None:
    """Begin it, as an operation of its own: the cluster serves meanwhile."""
    operation_id = new_id()
    node.operation_id = operation_id
    clusters.save_instance(tx, node)
    tx.emit(OperationBegun(operation_id=operation_id, cluster_id=cluster.id, project_id=cluster.project_id, kind=REJOIN,
                           message=f"{node.name} comes back as a replica"))  # fmt: skip
    if switched_off:
        tx.emit(NodePowerRequested(instance_id=node.id, cluster_id=cluster.id, operation_id=operation_id,
                                   project_id=cluster.project_id))  # fmt: skip
    else:
        file_rejoin(tx, node)


def bring_back_anew(tx: Tx, cluster: Cluster, node: Instance) -> None:
    """Of a node that was on its way back already: what it copies may be of a primary that leads no more.

    One that waits for its server goes on by itself, and one whose return was given up stays away.
    """
    if tasks.cancel(tx, subject=node.id, kinds=(REJOIN,)):
        bring_back(tx, cluster, node, switched_off=False)


def returned(tx: Tx, task: Task) -> None:
    """Say that a node is back."""
    tx.emit(OperationEnded(operation_id=task.operation_id, cluster_id=task.cluster_id, status="succeeded"))


def cancelled(tx: Tx, task: Task) -> None:
    """The return was cancelled by a user, or gives way to another one."""
    give_up(tx, task.cluster_id, task.operation_id, task.host)


def give_up(tx: Tx, cluster_id: str, operation_id: str, name: str) -> None:
    """Say that a node does not come back under this operation."""
    left = Problem(step=REJOIN, host=name, message=f"{name} is apart: it follows nobody, and takes no writes",
                   what_to_do="where it does not come back by itself, remove it and add another node")  # fmt: skip
    tx.emit(OperationEnded(operation_id=operation_id, cluster_id=cluster_id, status="cancelled", problem=left))


def rejoin_id(node: Instance) -> str:
    """The id of that work."""
    return task_id(REJOIN, node.id, node.operation_id)


def file_rejoin(tx: Tx, node: Instance) -> None:
    """File the work on its host, once for the operation under which it comes back."""
    draft = TaskDraft(id=rejoin_id(node), kind=REJOIN, subject=node.id, cluster_id=node.cluster_id,
                      operation_id=node.operation_id, payload={"instance_id": node.id}, host=node.name)  # fmt: skip
    tx.file(draft)
