"""How the making of a cluster ends: active with its last node, or failed with a reason."""

from __future__ import annotations

from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.store import clusters
from shared.contracts.datastore_agentless import ClusterActive, ClusterFailed
from shared.contracts.values import Endpoint, Problem
from shared.db import Tx
from shared.workflow import Task


def announce_failed(tx: Tx, cluster: Cluster, operation_id: str, problem: Problem) -> None:
    """Mark a cluster as failed and say why."""
    if cluster.status in (ClusterStatus.DELETING, ClusterStatus.DELETED):
        return
    cluster.become(ClusterStatus.FAILED)
    clusters.save_cluster(tx, cluster)
    tx.emit(ClusterFailed(cluster_id=cluster.id, operation_id=operation_id, problem=problem))


def activate_when_complete(tx: Tx, task: Task, endpoint: Endpoint) -> None:
    """Announce the cluster as active once its last node is ready; the cluster's row is held, so that one sees the last."""
    cluster = clusters.lock(tx, task.cluster_id)
    nodes = clusters.instances(tx.connection, task.cluster_id)
    if cluster is None or cluster.status in (ClusterStatus.DELETING, ClusterStatus.DELETED):
        return
    if all(node.status == Status.READY for node in nodes):
        cluster.become(ClusterStatus.ACTIVE)
        clusters.save_cluster(tx, cluster)
        tx.emit(ClusterActive(cluster_id=cluster.id, operation_id=task.operation_id, endpoint=endpoint))
