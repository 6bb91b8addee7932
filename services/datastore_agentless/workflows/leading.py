"""How a cluster's own address comes to lead to its primary: asked of the provisioner in the transaction that says who that is."""

from __future__ import annotations

from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.store import clusters
from shared.contracts.datastore_agentless import AddressMoveRequested
from shared.db import Tx


def lead(tx: Tx, cluster: Cluster, operation_id: str) -> None:
    """Ask for it, the cluster's row being held; also where it may lead there already, for a reboot loses it."""
    if not cluster.addr or cluster.status in GOING:
        return
    cluster.addr_leads_to = ""
    clusters.save_cluster(tx, cluster)
    tx.emit(AddressMoveRequested(cluster_id=cluster.id, instance_id=cluster.primary_id, operation_id=operation_id,
                                 project_id=cluster.project_id))  # fmt: skip
