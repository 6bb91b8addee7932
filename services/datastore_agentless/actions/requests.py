"""What people ask of a cluster that stands: commands, logins, and an end or a retry of whatever runs."""

from __future__ import annotations

from services.datastore_agentless.actions import addresses, resizes, takeovers
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.store import clusters
from services.datastore_agentless.workflows.open_access import GRANT, REVOKE
from services.datastore_agentless.workflows.rolling import resume
from shared.contracts.api import (
    AccessRequested,
    AccessRevokeRequested,
    OperationCancelRequested,
    OperationRetryRequested,
    PerformRequested,
)
from shared.contracts.base import new_id
from shared.contracts.datastore_agentless import AccessFailed, ClusterFailed, PerformBegun, PerformFailed
from shared.contracts.values import Problem
from shared.db import Database, Tx, tasks
from shared.workflow import TaskDraft

PERFORM = "perform"
_REFUSED = Problem(step="expect", message="a cluster like this cannot be made here, however often it is tried",
                   what_to_do="delete it, and make another one")  # fmt: skip


def cancel_operation(database: Database, event: OperationCancelRequested) -> None:
    """Ask the work under an operation to stop; a takeover only goes on once another node may take writes."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "cancel_operation"):
            return
        # Held until the end: a proof that ends at this moment would file its second half between the look and the cancel.
        clusters.lock(tx, event.cluster_id)
        if not takeovers.past_return(tx, event.operation_id):
            tasks.cancel(tx, operation_id=event.operation_id)
            takeovers.give_up_returns(tx, event.operation_id)


def retry_operation(database: Database, event: OperationRetryRequested) -> None:
    """Let failed work under an operation go on from the step that failed."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "retry_operation"):
            return
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is not None and cluster.status == ClusterStatus.FAILED and not cluster.admin_user:
            # It was refused as soon as it was wished for: nothing was begun that could go on.
            tx.emit(ClusterFailed(cluster_id=cluster.id, operation_id=event.operation_id, problem=_REFUSED))
            return
        if cluster is not None and cluster.status == ClusterStatus.FAILED:
            cluster.become(ClusterStatus.EXPECTED)
            clusters.save_cluster(tx, cluster)
            addresses.ask_for_a_new_cluster(tx, cluster, event.operation_id)
        for instance in clusters.instances(tx.connection, event.cluster_id):
            if instance.status == Status.FAILED and instance.operation_id == event.operation_id:
                instance.become(Status.PREPARING)
                clusters.save_instance(tx, instance)
        if resume(tx, cluster, event.operation_id) and resizes.resume(tx, cluster, event.operation_id):
            takeovers.resume(tx, event.operation_id)
            tasks.reopen(tx, event.operation_id)


def perform(database: Database, instance_id: str, name: str, commands: tuple[str, ...]) -> str:
    """Run commands that nobody has asked the API for; it is told of the operation. Returns its id. Raises NotFound."""
    operation_id = new_id()
    with database.write() as tx:
        instance = clusters.instance(tx.connection, instance_id)
        cluster = clusters.cluster(tx.connection, instance.cluster_id)
        tx.emit(PerformBegun(operation_id=operation_id, cluster_id=cluster.id, project_id=cluster.project_id,
                             instance_id=instance_id, name=name, commands=commands))  # fmt: skip
        _file_perform(tx, instance, operation_id, name, commands)
    return operation_id


def request_perform(database: Database, event: PerformRequested) -> None:
    """File commands to run on an instance; one that is unknown or gone is answered with a failure."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "request_perform"):
            return
        instance = clusters.find_instance(tx.connection, event.instance_id)
        if instance is not None and instance.status != Status.DELETED:
            _file_perform(tx, instance, event.operation_id, event.name, event.commands)
            return
        tx.emit(PerformFailed(operation_id=event.operation_id, cluster_id=event.cluster_id, name=event.name,
                              instance_id=event.instance_id, problem=_unknown("run", event.instance_id)))  # fmt: skip


def request_access(database: Database, event: AccessRequested | AccessRevokeRequested) -> None:
    """File the opening of an instance for a person's key, or its shutting."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "request_access"):
            return
        kind, payload = REVOKE, dict[str, object]()
        if isinstance(event, AccessRequested):
            kind, payload = GRANT, {"public_key": event.public_key, "minutes": event.minutes}
        else:
            payload = {"access": event.access}
        instance = clusters.find_instance(tx.connection, event.instance_id)
        if instance is None or instance.status == Status.DELETED:
            tx.emit(AccessFailed(operation_id=event.operation_id, cluster_id=event.cluster_id,
                                 instance_id=event.instance_id, problem=_unknown(kind, event.instance_id)))  # fmt: skip
            return
        # A subject of its own: a person may look at a host while something long runs on it.
        file_task(tx, kind, instance, event.operation_id, f"{kind}:{event.operation_id}", subject=f"access:{instance.id}",
                  **payload)  # fmt: skip


def file_task(
    tx: Tx, kind: str, instance: Instance, operation_id: str, task_id: str, subject: str = "", **payload: object
) -> None:
    """File a task on an instance; its subject is the instance, unless another is named."""
    tx.file(
        TaskDraft(
            id=task_id, kind=kind, subject=subject or instance.id, cluster_id=instance.cluster_id,
            operation_id=operation_id, payload={"instance_id": instance.id, **payload}, host=instance.name,
        )
    )  # fmt: skip


def _file_perform(tx: Tx, instance: Instance, operation_id: str, name: str, commands: tuple[str, ...]) -> None:
    file_task(tx, PERFORM, instance, operation_id, f"{PERFORM}:{operation_id}", name=name, commands=list(commands))


def _unknown(step: str, instance_id: str) -> Problem:
    return Problem(step=step, message=f"there is no instance {instance_id} any more",
                   what_to_do="list the cluster's instances, and name one of them")  # fmt: skip
