"""Clusters that are started, stopped or restarted by a user's wish; see workflows.roll."""

from __future__ import annotations

from services.datastore_agentless.domain.roll import Action
from services.datastore_agentless.store import clusters
from services.datastore_agentless.workflows.rolling import file_roll
from shared.contracts.api import ClusterRestartRequested, ClusterStartRequested, ClusterStopRequested
from shared.db import Database

Wish = ClusterStartRequested | ClusterStopRequested | ClusterRestartRequested


def request_roll(database: Database, event: Wish) -> bool:
    """Begin what is wished for; false while the cluster is still unknown here."""
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        if tx.first_seen(event.event_id, "request_roll"):
            only_id = event.instance_id if isinstance(event, ClusterRestartRequested) else ""
            file_roll(tx, cluster, event.operation_id, _ACTIONS[type(event)], only_id=only_id)
        return True


_ACTIONS: dict[type[Wish], Action] = {
    ClusterStartRequested: Action.START,
    ClusterStopRequested: Action.STOP,
    ClusterRestartRequested: Action.RESTART,
}
