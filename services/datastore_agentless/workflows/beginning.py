"""How takeovers begin: by a user's wish, or because a primary is found dead and nobody has to be asked."""

from __future__ import annotations

from uuid import NAMESPACE_OID, uuid5

from services.datastore_agentless.domain.cluster import AUTOMATIC, Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Status
from services.datastore_agentless.domain.takeover import Kind, Takeover
from services.datastore_agentless.store import clusters, takeovers
from shared.contracts.operations import OperationBegun
from shared.contracts.values import Problem
from shared.db import Tx
from shared.workflow import TaskDraft, task_id

HAND_OVER, FAIL_OVER = "hand_over", "fail_over"
_UNFIT = Problem(step="begin", message="the cluster does not serve", what_to_do="wait until it is active")


def begin(
    tx: Tx, cluster: Cluster, operation_id: str, kind: Kind, *, wanted_id: str = "", accept_loss: bool = False
) -> Problem | None:
    """Begin a takeover of a cluster whose row is held; the reason why not, where it cannot begin."""
    if cluster.status != ClusterStatus.ACTIVE:
        return _UNFIT
    moving = takeovers.under_way(tx.connection, cluster.id)
    if moving is not None:
        return Problem(step="begin", message="another node is about to become the primary already",
                       what_to_do=f"wait for the end of operation {moving.operation_id}, or retry it")  # fmt: skip
    entry = Takeover(operation_id=operation_id, cluster_id=cluster.id, kind=kind, former_id=cluster.primary_id,
                     wanted_id=wanted_id, accept_loss=accept_loss)  # fmt: skip
    if not takeovers.add(tx, entry):
        return None
    first = HAND_OVER if kind == Kind.SWITCHOVER else FAIL_OVER
    tx.file(TaskDraft(id=task_id(first, operation_id), kind=first, subject=cluster.id, cluster_id=cluster.id,
                      operation_id=operation_id))  # fmt: skip
    return None


def begin_unasked(tx: Tx, cluster: Cluster, incident: str, reason: str) -> None:
    """Begin a failover that nobody has asked for, at most once for an incident.

    None is begun where a user wants to be asked, nor without a replica, nor in the middle of another takeover.
    """
    others = [node for node in clusters.instances(tx.connection, cluster.id)
              if node.status == Status.READY and not cluster.leads(node.id)]  # fmt: skip
    operation_id = operation_of(Kind.FAILOVER, cluster.id, incident)
    if cluster.failover != AUTOMATIC or not others or takeovers.find(tx.connection, operation_id) is not None:
        return
    if begin(tx, cluster, operation_id, Kind.FAILOVER) is None:
        tx.emit(OperationBegun(operation_id=operation_id, cluster_id=cluster.id, project_id=cluster.project_id,
                               kind=Kind.FAILOVER, message=reason))  # fmt: skip


def operation_of(kind: str, subject: str, incident: str) -> str:
    """The id of what DTrove does by itself about an incident: the same for whoever thinks of it."""
    return str(uuid5(NAMESPACE_OID, f"dtrove {kind} {subject} {incident}"))
