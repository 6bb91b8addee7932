"""Takes a node out of its cluster: first the primary does without it, then its server goes, then what was kept for it."""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.datastores.base.topology import NOTHING
from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.store import clusters
from services.datastore_agentless.workflows.ending import announce_failed, endpoint
from services.datastore_agentless.workflows.on_host import Hosts
from shared.contracts.datastore_agentless import NodeReleased, NodesRemoved
from shared.contracts.values import Problem
from shared.db import Tx, tasks
from shared.errors import Cancelled
from shared.workflow import Next, Outcome, Step, StepContext, Task, TaskDraft, Wait, Workflow, task_id

LEAVE, DISMISS = "leave_node", "dismiss_node"
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class LeaveNode:
    """Two workflows about one node, both of which work on the primary: the node itself may be dead."""

    hosts: Hosts

    def leave(self) -> Workflow:
        """Have the primary do without the node; its server may go then."""
        return Workflow(LEAVE, (Step("release", self._release, deadline=600),), on_failure=_failed)

    def dismiss(self) -> Workflow:
        """Once the server is gone: keep nothing for it any more."""
        return Workflow(DISMISS, (Step("dismiss", self._dismiss, deadline=600),), on_failure=_failed)

    def _release(self, context: StepContext) -> Outcome:
        cluster, primary, node = self._whom(context)
        with self.hosts.database.read() as connection:
            nodes = clusters.instances(connection, cluster.id)
        others = [one for one in nodes if not cluster.leads(one.id) and one.status == Status.READY]
        topology = self.hosts.manager(primary).topology
        if topology is not None:
            self.hosts.run(context, primary, topology.protect(primary, others, cluster.mode))

        def save(tx: Tx) -> None:
            task = context.task
            tx.emit(NodeReleased(instance_id=node.id, cluster_id=cluster.id, operation_id=task.operation_id,
                                 project_id=cluster.project_id))  # fmt: skip

        return Next(save=save, message=f"{primary.name} does without {node.name or node.id}")

    def _dismiss(self, context: StepContext) -> Outcome:
        cluster, primary, node = self._whom(context)
        manager = self.hosts.manager(primary)
        if manager.topology is not None:
            left = self.hosts.run(context, primary, manager.topology.dismiss(primary, node))
            if left != NOTHING:
                return Wait(LOOK_SECONDS, f"{primary.name} still holds something for {node.name}: {left}")

        def save(tx: Tx) -> None:
            present = clusters.lock(tx, cluster.id)
            if present is None or present.status in GOING or tasks.others_open(tx, context.task):
                return
            nodes = clusters.instances(tx.connection, cluster.id)
            mine = [one for one in nodes if one.operation_id == context.task.operation_id]
            if all(one.status == Status.DELETED for one in mine):
                gone = tuple(one.id for one in mine)
                tx.emit(NodesRemoved(cluster_id=cluster.id, operation_id=context.task.operation_id, instance_ids=gone,
                                     endpoint=endpoint(present, nodes, manager)))  # fmt: skip

        return Next(save=save, message=f"{primary.name} keeps nothing for {node.name or node.id}")

    def _whom(self, context: StepContext) -> tuple[Cluster, Instance, Instance]:
        """The cluster, its primary, and the node that goes. Raises Cancelled once the whole cluster goes."""
        with self.hosts.database.read() as connection:
            node = clusters.instance(connection, context.task.payload["instance_id"])
            cluster = clusters.cluster(connection, node.cluster_id)
            if cluster.status in GOING:
                raise Cancelled(f"cluster {cluster.id} is {cluster.status}")
            return cluster, clusters.instance(connection, cluster.primary_id), node


def file_leave(tx: Tx, node: Instance, kind: str) -> None:
    """File the one or the other of a node that goes, once for the operation under which it does."""
    draft = TaskDraft(id=task_id(kind, node.id, node.operation_id), kind=kind, subject=node.id, cluster_id=node.cluster_id,
                      operation_id=node.operation_id, payload={"instance_id": node.id}, host=node.name)  # fmt: skip
    tx.file(draft)


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    cluster = clusters.lock(tx, task.cluster_id)
    if cluster is not None:
        announce_failed(tx, cluster, task.operation_id, problem)
