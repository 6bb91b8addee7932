"""Nodes that come to a cluster which serves, and nodes that leave it."""

from __future__ import annotations

from services.datastore_agentless.domain.cluster import GOING
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.store import clusters, takeovers
from services.datastore_agentless.workflows.ending import announce_failed
from services.datastore_agentless.workflows.leave_node import DISMISS, LEAVE, file_leave
from shared.contracts.api import NodesRemoveRequested, NodesRequested
from shared.contracts.values import Problem
from shared.db import Database, Tx, tasks
from shared.secrets import generate_password

_STAYS = Problem(step="release", message="the node is the primary by now, or is about to be: all others follow it",
                 what_to_do="switch over to another node first, or delete the cluster")  # fmt: skip


def expect_nodes(database: Database, event: NodesRequested) -> bool:
    """Record the nodes to come. One that was taken back before it was heard of stays away.

    False while the cluster is still unknown here.
    """
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        if not tx.first_seen(event.event_id, "expect_nodes") or cluster.status in GOING:
            return True
        there = clusters.instances(tx.connection, cluster.id)
        # A cluster of one node that an older release has made.
        cluster.primary_id = cluster.primary_id or there[0].id
        cluster.mode = cluster.mode or event.topology.mode
        cluster.failover = cluster.failover if cluster.failover_at else event.topology.failover
        if not cluster.replication_password.reveal():
            cluster.replication_password = generate_password()
        clusters.save_cluster(tx, cluster)
        known = {node.id for node in there}
        for ref in event.instances:
            if ref.id not in known:
                node = Instance(id=ref.id, cluster_id=cluster.id, name=ref.name, operation_id=event.operation_id)
                clusters.add_instance(tx, node)
        return True


def remove_nodes(database: Database, event: NodesRemoveRequested) -> bool:
    """Stop all work on these nodes, and file their leaving, also anew; the primary stays, whoever asks.

    False while the cluster is still unknown here.
    """
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        if not tx.first_seen(event.event_id, "remove_nodes") or cluster.status in GOING:
            return True
        moving = takeovers.under_way(tx.connection, cluster.id)
        there = {node.id: node for node in clusters.instances(tx.connection, cluster.id)}
        for instance_id in event.instance_ids:
            # Where there is none yet, the wish to take it back has overtaken the wish for it.
            node = there.get(instance_id) or _unheard_of(tx, event, instance_id)
            if cluster.leads(node.id) or (moving is not None and moving.chosen_id == node.id):
                announce_failed(tx, cluster, event.operation_id, _STAYS)
                continue
            node.operation_id = event.operation_id
            if node.status == Status.DELETED:
                clusters.save_instance(tx, node)
                file_leave(tx, node, DISMISS)
                continue
            tasks.cancel(tx, subject=node.id)
            node.become(Status.LEAVING)
            clusters.save_instance(tx, node)
            file_leave(tx, node, LEAVE)
        return True


def _unheard_of(tx: Tx, event: NodesRemoveRequested, instance_id: str) -> Instance:
    node = Instance(id=instance_id, cluster_id=event.cluster_id, name="", status=Status.LEAVING)
    clusters.add_instance(tx, node)
    return node
