"""Clusters that become larger or smaller, from the wish to what the provider says of each node; see workflows.resizing."""

from __future__ import annotations

from typing import Any

from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.domain.resize import Resize
from services.datastore_agentless.store import clusters, resizes
from services.datastore_agentless.workflows.grow_cluster import ask, file_growth
from services.datastore_agentless.workflows.resizing import go_on
from shared.contracts.api import ClusterResizeRequested
from shared.contracts.base import dump
from shared.contracts.operations import OperationEnded
from shared.contracts.provisioner import InstanceResized, InstanceResizeFailed
from shared.contracts.values import Flavor, Problem
from shared.db import Database, Tx


def request_resize(database: Database, event: ClusterResizeRequested) -> bool:
    """File it in place of any earlier one; false while the cluster is still unknown here."""
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        if tx.first_seen(event.event_id, "request_resize"):
            resizes.forget(tx, cluster.id)
            if event.former:
                clusters.note_flavor(tx, cluster.id, event.former)
            resize = Resize(operation_id=event.operation_id, cluster_id=cluster.id, volume_gb=event.volume_gb,
                            flavor=event.flavor)  # fmt: skip
            resizes.add(tx, resize)
            _begin(tx, cluster, resize)
        return True


def size_changed(database: Database, event: InstanceResized | InstanceResizeFailed) -> None:
    """Keep what the provider came to for one node, and what its server has become, whoever still waits for that."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "size_changed"):
            return
        clusters.lock(tx, event.cluster_id)
        if event.flavor is not None:
            _server_changed(tx, event, event.flavor)
        resize = resizes.find(tx.connection, event.operation_id)
        if resize is None:
            return
        kept = resize.answers if event.flavor is None else resize.servers
        kept[event.instance_id] = _answer(event)
        resizes.save(tx, resize)


def resume(tx: Tx, cluster: Cluster | None, operation_id: str) -> bool:
    """Have one that has failed go on, its cluster's row being held: whoever could not be made larger is asked for again.

    False where it cannot, and the reason is announced; true also where the operation is no resize, or no longer the last one.
    """
    resize = resizes.find(tx.connection, operation_id)
    return resize is None or cluster is None or _begin(tx, cluster, resize)


def _begin(tx: Tx, cluster: Cluster, resize: Resize) -> bool:
    """File it, or ask the provider again where it is filed; false, and the reason is announced, where it cannot begin."""
    nodes = clusters.instances(tx.connection, cluster.id)
    apart = [node.name for node in nodes if node.status == Status.APART]
    if cluster.status != ClusterStatus.ACTIVE or apart:
        why = f"{' and '.join(apart)} is apart, or on its way back" if apart else f"the cluster is {cluster.status}"
        problem = Problem(step="ask", message=why, what_to_do="wait until all nodes serve, then retry the operation")
        tx.emit(OperationEnded(operation_id=resize.operation_id, cluster_id=cluster.id, status="failed",
                               problem=problem))  # fmt: skip
        return False
    if not resize.volume_gb:
        go_on(tx, cluster, resize, {"nodes": []})
    elif not file_growth(tx, resize):
        ask(tx, cluster, resize, nodes)
    return True


def _server_changed(tx: Tx, event: InstanceResized | InstanceResizeFailed, flavor: Flavor) -> None:
    """Keep what it is by now; after a failure nobody knows, so that no later wish passes it over."""
    node = clusters.find_instance(tx.connection, event.instance_id)
    if node is None:
        return
    if isinstance(event, InstanceResized):
        clusters.change_instance(tx, node, addr=event.addr or node.addr, reach=event.reach)
        clusters.set_size(tx, node.id, flavor)
    else:
        clusters.doubt_flavor(tx, node.id)


def _answer(event: InstanceResized | InstanceResizeFailed) -> dict[str, Any]:
    return {"message": event.message} if isinstance(event, InstanceResized) else {"problem": dump(event.problem)}
