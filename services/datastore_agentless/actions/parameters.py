"""Parameters of a running cluster, as the bus tells of them; see workflows.change_parameters."""

from __future__ import annotations

from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.parameters import Version
from services.datastore_agentless.store import clusters, parameters
from services.datastore_agentless.workflows.change_parameters import file_change
from shared.contracts.api import ParametersRequested
from shared.contracts.operations import OperationEnded
from shared.contracts.values import Problem
from shared.db import Database

_UNFIT = Problem(step="begin", message="the cluster does not serve", what_to_do="wait until it is active")


def request_parameters(database: Database, event: ParametersRequested) -> bool:
    """File a change of a cluster's parameters; false while the cluster is still unknown here."""
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        if not tx.first_seen(event.event_id, "request_parameters"):
            return True
        if cluster.status != ClusterStatus.ACTIVE:
            tx.emit(OperationEnded(operation_id=event.operation_id, cluster_id=cluster.id, status="failed",
                                   problem=_UNFIT))  # fmt: skip
            return True
        version = Version(operation_id=event.operation_id, cluster_id=cluster.id, version=event.version, wanted=event.values,
                          restart_now=event.restart_now, author=event.author, at=event.occurred_at)  # fmt: skip
        if parameters.add(tx, version):
            file_change(tx, version)
        return True
