"""How a cluster is held while its data change places: nobody watches it or mends it, none becomes its primary, none starts its engines.

It is what a stopped cluster is, from the moment before the engine stops to the one in which it serves again.
"""

from __future__ import annotations

from sqlalchemy import Connection

from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.store import archives, clusters, restores, rolls, takeovers
from services.datastore_agentless.workflows.leading import lead
from services.datastore_agentless.workflows.returning import bring_back, bring_back_anew
from services.datastore_agentless.workflows.start_node import START
from shared.db import Database, Tx, tasks
from shared.errors import Cancelled, Failure, Retryable


def see_free(connection: Connection, database: Database, cluster_id: str) -> None:
    """Raise Retryable while something else is done with the engines of a cluster."""
    if takeovers.under_way(connection, cluster_id) is not None:
        raise Retryable("another node is about to become the primary")
    if rolls.under_way(connection, cluster_id) is not None or tasks.is_open(connection, database, cluster_id, START):
        raise Retryable("an engine of this cluster is just being started, or stopped")


def hold(tx: Tx, restore_id: str) -> None:
    """From here on nobody else touches its engines, and who keeps its log notes nothing of what was looked at before.

    Raises Cancelled, Failure, Retryable where it cannot be held now.
    """
    cluster_id = restores.get(tx.connection, restore_id).cluster_id
    cluster = clusters.lock(tx, cluster_id)
    if cluster is None or cluster.status in GOING:
        raise Cancelled(f"cluster {cluster_id} is on its way out")
    see_free(tx.connection, tx.database, cluster_id)
    entry = restores.get(tx.connection, restore_id)
    if cluster.status != ClusterStatus.ACTIVE or cluster.primary_id != entry.taken["primary"]:
        raise Failure(
            "the cluster has another primary by now, or is stopped", what_to_do="see that it serves, then retry"
        )
    entry.held = True
    restores.save(tx, entry)
    cluster.become(ClusterStatus.STOPPED)
    clusters.save_cluster(tx, cluster)
    archives.begin_anew(tx, cluster_id, cluster.history)


def let_go(tx: Tx, restore_id: str, operation_id: str, history: str | None = None) -> Cluster | None:
    """It serves again; with `history` its data are others than before. None where it is not held, or on its way out."""
    cluster = clusters.lock(tx, restores.get(tx.connection, restore_id).cluster_id)
    entry = restores.get(tx.connection, restore_id)
    if not entry.held or cluster is None or cluster.status in GOING:
        return None
    entry.held = False
    restores.save(tx, entry)
    if history is not None:
        cluster.history = history
    archives.begin_anew(tx, cluster.id, cluster.history)
    cluster.become(ClusterStatus.ACTIVE)
    clusters.save_cluster(tx, cluster)
    lead(tx, cluster, operation_id)
    return cluster


def make_anew(tx: Tx, cluster: Cluster) -> None:
    """Have every replica take the primary's data in place of its own, each by an operation of its own."""
    for node in clusters.instances(tx.connection, cluster.id):
        if node.status == Status.APART:
            # What it copies may be of the data that gave way.
            bring_back_anew(tx, cluster, node)
        elif node.status == Status.READY and not cluster.leads(node.id):
            node.become(Status.APART)
            clusters.save_instance(tx, node)
            bring_back(tx, cluster, node, switched_off=False)
