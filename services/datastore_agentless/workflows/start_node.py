"""Turns a node whose host is well and whose database does not serve into one that does, or, of a primary, into the reason for a
failover.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.store import clusters, takeovers
from services.datastore_agentless.workflows.beginning import begin_unasked, operation_of
from services.datastore_agentless.workflows.leading import lead
from services.datastore_agentless.workflows.nodes_asked import members, standing
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.seen_parameters import see
from shared.contracts.operations import OperationBegun, OperationEnded
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Cancelled
from shared.workflow import Next, Outcome, Step, StepContext, Task, TaskDraft, Workflow, task_id

START = "start_node"
# A primary that does not come up in this time is replaced.
START_SECONDS = 20.0


@dataclass(frozen=True)
class StartNode:
    """One step on the node's host."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """Start the engine, and thaw a primary that was left frozen; no way back is needed."""
        step = Step("start", self._start, deadline=START_SECONDS, backoff_cap=2)
        return Workflow(START, (step,), on_failure=_failed, on_cancelled=_cancelled)

    def _start(self, context: StepContext) -> Outcome:
        node = self.hosts.instance(context)
        with self.hosts.database.read() as connection:
            cluster = clusters.cluster(connection, node.cluster_id)
            moving = takeovers.under_way(connection, node.cluster_id)
        if node.status != Status.READY or cluster.status != ClusterStatus.ACTIVE or moving is not None:
            raise Cancelled(f"{node.name} is not to run by itself any more")
        manager = self.hosts.manager(node)
        self.hosts.run(context, node, manager.start())
        if cluster.leads(node.id) and manager.topology is not None and self._is_frozen(context, node):
            self.hosts.run(context, node, manager.topology.thaw(node))
        seen = see(self.hosts, context, node)

        def save(tx: Tx) -> None:
            seen(tx)
            held = clusters.lock(tx, node.cluster_id)
            if held is not None and held.leads(node.id):
                # Its host may have been started again, too.
                lead(tx, held, context.task.operation_id)
            _end(tx, context.task, "succeeded")

        return Next(save=save, message=f"{node.name} runs again")

    def _is_frozen(self, context: StepContext, node: Instance) -> bool:
        """Whether a primary takes no writes, as a switchover leaves it that could not be undone; never one that is alone."""
        several = len(members(self.hosts, context)[1]) > 1
        return several and not standing(self.hosts, context, node, node).writable


def file_start(tx: Tx, cluster: Cluster, node: Instance, incident: str, reason: str) -> None:
    """Begin it, once for an incident, as an operation that DTrove does by itself."""
    operation_id = operation_of(START, node.id, incident)
    draft = TaskDraft(id=task_id(START, operation_id), kind=START, subject=node.id, cluster_id=cluster.id,
                      operation_id=operation_id, payload={"instance_id": node.id}, host=node.name)  # fmt: skip
    if tx.file(draft):
        tx.emit(OperationBegun(operation_id=operation_id, cluster_id=cluster.id, project_id=cluster.project_id, kind=START,
                               message=reason))  # fmt: skip


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    """Say so; a primary that does not start is replaced, where nobody wants to be asked."""
    cluster = clusters.lock(tx, task.cluster_id)
    _end(tx, task, "failed", problem)
    if cluster is not None and cluster.leads(task.payload["instance_id"]):
        begin_unasked(tx, cluster, task.operation_id, f"its primary does not start: {problem.message}")


def _cancelled(tx: Tx, task: Task) -> None:
    _end(tx, task, "cancelled")


def _end(tx: Tx, task: Task, status: str, problem: Problem | None = None) -> None:
    tx.emit(OperationEnded(operation_id=task.operation_id, cluster_id=task.cluster_id, status=status, problem=problem))
