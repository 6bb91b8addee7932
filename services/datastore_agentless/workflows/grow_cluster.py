"""Turns a wish for larger volumes into file systems that fill them, while the databases on them run.

The provider grows each volume on request; what is on one that DTrove has mounted itself is grown over SSH afterwards. All of
it is find-or-do, and what has grown does not shrink: so there is no way back, and a second run changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.resize import Resize
from services.datastore_agentless.hosts import volumes
from services.datastore_agentless.store import clusters, resizes
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.resizing import go_on, refuse, superseded
from shared.contracts.datastore_agentless import NodeResizeRequested
from shared.contracts.operations import OperationEnded
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Cancelled
from shared.workflow import Next, Outcome, Step, StepContext, Task, TaskDraft, Wait, Workflow, task_id

GROW = "grow_cluster"
LOOK_SECONDS = 0.5
# The provider gives up before. Large file systems take minutes, and a host that cannot be reached may come back.
ANSWER_SECONDS, GROW_SECONDS = 900.0, 1800.0


@dataclass(frozen=True)
class GrowCluster:
    """The steps. The task's subject is not the cluster: whatever becomes of a host, a failover does not wait for this."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """Steps in order."""
        steps = (
            Step("ask", self._ask, deadline=60),
            Step("extend", self._extend, deadline=ANSWER_SECONDS),
            Step("grow", self._grow, deadline=GROW_SECONDS),
        )
        return Workflow(GROW, steps, on_failure=_failed, on_cancelled=_cancelled)

    def _ask(self, context: StepContext) -> Outcome:
        """Have the provider make all volumes larger."""
        _, resize, nodes = self._whom(context)

        def save(tx: Tx) -> None:
            cluster = clusters.lock(tx, context.task.cluster_id)
            present = resizes.find(tx.connection, resize.operation_id)
            if cluster is not None and present is not None:
                ask(tx, cluster, present, clusters.instances(tx.connection, cluster.id))

        return Next(save=save, message=f"{len(nodes)} volumes are to have {resize.volume_gb} GB")

    def _extend(self, context: StepContext) -> Outcome:
        """Wait for the provider. Raises Failure with its words where it cannot."""
        _, resize, nodes = self._whom(context)
        for node in nodes:
            refuse(f"the volume of {node.name} does not grow", resize.answers.get(node.id, {}))
        if left := [node.name for node in resize.unanswered(nodes)]:
            return Wait(LOOK_SECONDS, f"the provider makes the volume of {' and '.join(left)} larger")
        return Next(message=f"all volumes have {resize.volume_gb} GB")

    def _grow(self, context: StepContext) -> Outcome:
        """Grow the file systems; a provider that mounts a volume by itself has done so already. Then see how large they are."""
        cluster, resize, nodes = self._whom(context)
        found = list[dict[str, Any]]()
        for node in nodes:
            by_provider = not node.volume_device
            size = self.hosts.run(context, node, volumes.grow(node.data_dir, resize.volume_gb, by_provider=by_provider))
            found.append({"id": node.id, "name": node.name, "file_system_bytes": size,
                          "message": resize.answers.get(node.id, {}).get("message", "")})  # fmt: skip
        result = {"volume_gb": resize.volume_gb, "nodes": found}
        return Next(
            save=lambda tx: _succeed(tx, cluster, resize, result), message="all file systems fill their volumes"
        )

    def _whom(self, context: StepContext) -> tuple[Cluster, Resize, list[Instance]]:
        """The cluster, the resize, and the nodes that it is about.

        Raises Cancelled once the cluster is to go, Failure where another size is wanted by now.
        """
        with self.hosts.database.read() as connection:
            cluster = clusters.cluster(connection, context.task.cluster_id)
            resize = resizes.find(connection, context.task.operation_id)
            nodes = clusters.instances(connection, cluster.id)
        if cluster.status in GOING:
            raise Cancelled(f"cluster {cluster.id} is {cluster.status}")
        if resize is None:
            raise superseded()
        return cluster, resize, resize.of(nodes)


def file_growth(tx: Tx, resize: Resize) -> bool:
    """File the work; false where it was filed before."""
    return tx.file(TaskDraft(
        id=task_id(GROW, resize.operation_id), kind=GROW, subject=f"resize:{resize.cluster_id}",
        cluster_id=resize.cluster_id, operation_id=resize.operation_id,
    ))  # fmt: skip


def ask(tx: Tx, cluster: Cluster, resize: Resize, nodes: Sequence[Instance]) -> None:
    """Ask the provider for the volumes of those nodes that are not known to have theirs; the cluster's row is held."""
    left = resize.unanswered(nodes)
    for node in left:
        resize.answers.pop(node.id, None)
        tx.emit(NodeResizeRequested(instance_id=node.id, cluster_id=cluster.id, operation_id=resize.operation_id,
                                    project_id=cluster.project_id, volume_gb=resize.volume_gb))  # fmt: skip
    resizes.save(tx, resize)


def _succeed(tx: Tx, cluster: Cluster, resize: Resize, result: dict[str, Any]) -> None:
    present = clusters.lock(tx, cluster.id)
    if present is not None:
        present.volume_gb = resize.volume_gb
        clusters.save_cluster(tx, present)
        go_on(tx, present, resize, result)


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    _end(tx, task, "failed", problem)


def _cancelled(tx: Tx, task: Task) -> None:
    _end(tx, task, "cancelled")


def _end(tx: Tx, task: Task, status: str, problem: Problem | None = None) -> None:
    tx.emit(OperationEnded(operation_id=task.operation_id, cluster_id=task.cluster_id, status=status, problem=problem))
