"""How work on the nodes of a cluster ends: it serves with all of them, or there is a reason why not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain import proofs
from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import GOING as LEFT
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.store import accounts, clusters
from services.datastore_agentless.workflows.leading import lead
from shared.contracts.backups import BackupVerificationFailed
from shared.contracts.datastore_agentless import ClusterActive, ClusterFailed, NodeReady, NodesFailed
from shared.contracts.values import Address, Endpoint, Problem, StableAddress
from shared.db import Tx
from shared.workflow import Task, TaskDraft, task_id

JOIN, ACCOUNTS, PROVE = "join_node", "change_accounts", "prove_backup"


def announce_failed(tx: Tx, cluster: Cluster, operation_id: str, problem: Problem) -> None:
    """Say why an operation has failed: a cluster that never served has failed with it, any other serves on."""
    if cluster.status in GOING:
        return
    if cluster.status in (ClusterStatus.ACTIVE, ClusterStatus.STOPPED):
        tx.emit(NodesFailed(cluster_id=cluster.id, operation_id=operation_id, problem=problem))
        return
    cluster.become(ClusterStatus.FAILED)
    clusters.save_cluster(tx, cluster)
    if cluster.proof:
        tx.emit(BackupVerificationFailed(**proof_ids(cluster), problem=problem))
        return
    tx.emit(ClusterFailed(cluster_id=cluster.id, operation_id=operation_id, problem=problem))


def fail_node(tx: Tx, task: Task, problem: Problem) -> None:
    """A node could not be made: so what was to make it has failed."""
    cluster = clusters.lock(tx, task.cluster_id)
    instance = clusters.instance(tx.connection, task.payload["instance_id"])
    if clusters.change_instance(tx, instance, status=Status.FAILED) is not None and cluster is not None:
        announce_failed(tx, cluster, task.operation_id, problem)


def node_prepared(tx: Tx, task: Task, instance: Instance, manager: BaseManager) -> None:
    """The database on a node answers: a primary is ready with that, a replica may join once the primary is.

    The cluster's row is held: of two nodes that come at the same moment, one sees the other.
    """
    cluster = clusters.lock(tx, task.cluster_id)
    if cluster is None:
        return
    leads = cluster.leads(instance.id)
    if clusters.change_instance(tx, instance, status=Status.READY if leads else Status.PREPARED) is None:
        return
    nodes = clusters.instances(tx.connection, cluster.id)
    if any(cluster.leads(node.id) and node.status == Status.READY for node in nodes):
        for node in nodes:
            if node.status == Status.PREPARED:
                _file_join(tx, task, node)
    if leads:
        lead(tx, cluster, task.operation_id)
        _node_ready(tx, task, instance, cluster, manager)


def node_joined(tx: Tx, task: Task, instance: Instance, manager: BaseManager) -> None:
    """A replica follows its primary."""
    cluster = clusters.lock(tx, task.cluster_id)
    if cluster is not None and clusters.change_instance(tx, instance, status=Status.READY) is not None:
        _node_ready(tx, task, instance, cluster, manager)


def _file_join(tx: Tx, task: Task, node: Instance) -> None:
    # A server that was made anew joins anew.
    draft = TaskDraft(id=task_id(JOIN, node.id, node.server, task.operation_id), kind=JOIN, subject=node.id,
                      cluster_id=node.cluster_id, operation_id=task.operation_id, payload={"instance_id": node.id},
                      host=node.name)  # fmt: skip
    tx.file(draft)


def _node_ready(tx: Tx, task: Task, instance: Instance, cluster: Cluster, manager: BaseManager) -> None:
    tx.emit(NodeReady(instance_id=instance.id, cluster_id=cluster.id, operation_id=task.operation_id))
    serve_when_whole(tx, task.operation_id, cluster, manager)


def serve_when_whole(tx: Tx, operation_id: str, cluster: Cluster, manager: BaseManager) -> None:
    """Say that a cluster serves, once all nodes are there that the operation was to make, and its address leads to the primary.

    The caller holds its row.
    """
    nodes = clusters.instances(tx.connection, cluster.id)
    if cluster.status in GOING or any(
        node.status != Status.READY for node in _to_wait_for(cluster, nodes, operation_id)
    ):
        return
    serves = cluster.status == ClusterStatus.ACTIVE
    if not serves and not cluster.is_found:
        return
    if cluster.proof:
        _file_proof(tx, cluster, nodes[0])
        return
    if not serves and accounts.wished(tx.connection, operation_id) is not None:
        # The databases and users that it was wished with are made before anybody is told that it serves.
        file_accounts(tx, cluster.id, operation_id)
        return
    serve(tx, operation_id, cluster, nodes, manager)


def serve(tx: Tx, operation_id: str, cluster: Cluster, nodes: Sequence[Instance], manager: BaseManager) -> None:
    """Say that a cluster serves. The caller holds its row."""
    cluster.become(ClusterStatus.ACTIVE)
    clusters.save_cluster(tx, cluster)
    tx.emit(
        ClusterActive(cluster_id=cluster.id, operation_id=operation_id, endpoint=endpoint(cluster, nodes, manager),
                      primary_id=cluster.primary_id or nodes[0].id)
    )  # fmt: skip


def file_accounts(tx: Tx, cluster_id: str, operation_id: str) -> None:
    """File the change of a cluster's accounts that is kept of an operation, once."""
    tx.file(TaskDraft(id=task_id(ACCOUNTS, operation_id), kind=ACCOUNTS, subject=cluster_id, cluster_id=cluster_id,
                      operation_id=operation_id))  # fmt: skip


def proof_ids(cluster: Cluster) -> dict[str, Any]:
    """What the word of a proof says of whose it is."""
    return {"backup_id": cluster.restore_id, "cluster_id": cluster.proof["cluster_id"], "proof_id": cluster.id,
            "operation_id": cluster.operation_id}  # fmt: skip


def _file_proof(tx: Tx, cluster: Cluster, node: Instance) -> None:
    """Nobody is told of a cluster that is for nothing but a proof, so that nobody watches it, backs it up or mends it."""
    draft = TaskDraft(id=task_id(PROVE, cluster.operation_id), kind=PROVE, subject=node.id, cluster_id=cluster.id,
                      operation_id=cluster.operation_id, payload={"instance_id": node.id}, host=node.name)  # fmt: skip
    if tx.file(draft):
        cluster.proof = {**cluster.proof, proofs.ANSWERED: tx.database.clock.now().isoformat()}
        clusters.save_cluster(tx, cluster)


def _to_wait_for(cluster: Cluster, nodes: Iterable[Instance], operation_id: str) -> list[Instance]:
    """Whose readiness ends the operation: a cluster first serves with all of its nodes, later with those that were added."""
    serves = cluster.status == ClusterStatus.ACTIVE
    return [node for node in nodes if node.status not in LEFT and (not serves or node.operation_id == operation_id)]


def endpoint(cluster: Cluster, nodes: Iterable[Instance], manager: BaseManager) -> Endpoint:
    """How clients reach a cluster: its primary, the others that are ready, a URL that names them all, and its own address."""
    ready = [node for node in nodes if node.status == Status.READY]
    in_order = sorted(ready, key=lambda node: not cluster.leads(node.id))
    places = [node.found_at(manager.port) for node in in_order]
    user = in_order[0].admin_user
    url = manager.topology.url(places, user) if manager.topology else manager.url(*places[0], user)
    first, *others = (Address(host=host, port=port) for host, port in places)
    own = StableAddress(host=cluster.addr, port=manager.port, url=manager.url(cluster.addr, manager.port, user))
    return Endpoint(primary=first, replicas=tuple(others), url=url, address=own if cluster.addr else None)
