"""Nodes that come to a cluster which serves, and nodes that leave it."""

from __future__ import annotations

from services.datastore_agentless.domain.cluster import GOING
from services.datastore_agentless.domain.instance import GOING as LEFT
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.store import clusters
from services.datastore_agentless.workflows.leave_node import LEAVE, file_leave
from shared.contracts.api import NodesRemoveRequested, NodesRequested
from shared.db import Database, tasks


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
        clusters.save_cluster(tx, cluster)
        known = {node.id for node in there}
        for ref in event.instances:
            if ref.id not in known:
                node = Instance(id=ref.id, cluster_id=cluster.id, name=ref.name, operation_id=event.operation_id)
                clusters.add_instance(tx, node)
        return True


def remove_nodes(database: Database, event: NodesRemoveRequested) -> bool:
    """Stop all work on these nodes, and file their leaving; the primary stays, whoever asks.

    False while the cluster is still unknown here.
    """
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        if not tx.first_seen(event.event_id, "remove_nodes") or cluster.status in GOING:
            return True
        there = {node.id: node for node in clusters.instances(tx.connection, cluster.id)}
        for instance_id in event.instance_ids:
            node = there.get(instance_id)
            if node is None:
                # The wish to take it back has overtaken the wish for it.
                node = Instance(id=instance_id, cluster_id=cluster.id, name="", operation_id=event.operation_id,
                                status=Status.LEAVING)  # fmt: skip
                clusters.add_instance(tx, node)
            elif cluster.leads(node.id) or node.status in LEFT:
                continue
            tasks.cancel(tx, subject=node.id)
            node.become(Status.LEAVING)
            node.operation_id = event.operation_id
            clusters.save_instance(tx, node)
            file_leave(tx, node, event.operation_id, LEAVE)
        return True
