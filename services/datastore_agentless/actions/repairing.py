"""What DTrove does by itself about nodes that are not well: engines that are down are started, a primary that was left frozen
takes writes again, a dead one is replaced.

What is tried again is tried ever less often: at once, then after one, three and seven minutes, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.health import Verdict
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.domain.record import Record
from services.datastore_agentless.store import clusters, takeovers
from services.datastore_agentless.workflows.beginning import begin_unasked
from services.datastore_agentless.workflows.start_node import file_start
from shared.db import Tx


def consider(tx: Tx, cluster_id: str, records: Mapping[str, Record]) -> None:
    """Begin what mends a cluster whose row is held; the watch calls this whenever something is wrong with it."""
    cluster = clusters.cluster(tx.connection, cluster_id)
    if cluster.status != ClusterStatus.ACTIVE or takeovers.under_way(tx.connection, cluster_id) is not None:
        return
    nodes = {node.id: node for node in clusters.instances(tx.connection, cluster_id) if node.status == Status.READY}
    for record in records.values():
        node = nodes.get(record.instance_id)
        if node is None or record.suspicion:
            continue
        incident = f"{record.since.isoformat()} {_attempt(tx, record)}"
        if record.verdict == Verdict.DB_DOWN or (cluster.leads(node.id) and record.facts.get("writable") == "no"):
            file_start(tx, cluster, node, incident, record.message)
        elif record.verdict == Verdict.HOST_DOWN and cluster.leads(node.id):
            begin_unasked(tx, cluster, incident, record.message)


def _attempt(tx: Tx, record: Record) -> int:
    """The number of the attempt whose time it is: each waits twice as long as the one before."""
    minutes = (tx.database.clock.now() - record.since).total_seconds() / 60
    return int(math.log2(1 + max(0.0, minutes)))
