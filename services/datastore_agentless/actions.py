"""The use cases of datastore_agentless, one transaction each: messages file work, they never carry it."""

from __future__ import annotations

from dataclasses import replace

from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.store import catalogue, clusters
from services.datastore_agentless.workflows.ending import announce_failed
from services.datastore_agentless.workflows.open_access import GRANT, REVOKE
from shared.contracts.api import (
    AccessRequested,
    AccessRevokeRequested,
    BackupRequested,
    ClusterDeleteRequested,
    ClusterRequested,
    OperationCancelRequested,
    OperationRetryRequested,
    PerformRequested,
)
from shared.contracts.datastore_agentless import BackupFailed, ClusterDeleted
from shared.contracts.provisioner import InstanceActive, InstanceDeleted, InstanceFailed
from shared.contracts.scheduler import BackupDue
from shared.contracts.values import Problem
from shared.db import Database, Tx, tasks
from shared.secrets import Secret, generate_password
from shared.workflow import TaskDraft

PREPARE, PERFORM, BACKUP = "prepare_node", "perform", "backup_node"


def expect_cluster(database: Database, event: ClusterRequested, admin_user: str) -> None:
    """Record a cluster, its nodes to come and a login made for it."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "expect_cluster"):
            return
        if clusters.find_cluster(tx.connection, event.cluster_id) is not None:
            return
        clusters.add_cluster(
            tx, Cluster(
                id=event.cluster_id, project_id=event.project_id, operation_id=event.operation_id, name=event.name,
                datastore_id=event.datastore.id, size=event.size, ram_mb=event.flavor.ram_mb,
                vcpus=event.flavor.vcpus, volume_gb=event.volume_gb or 0, admin_user=admin_user,
                admin_password=generate_password(),
            ),
        )  # fmt: skip
        for ref in event.instances:
            clusters.add_instance(tx, Instance(id=ref.id, cluster_id=event.cluster_id, name=ref.name))


def prepare_node(database: Database, event: InstanceActive) -> bool:
    """File the preparation of a server that came up; false while its cluster is still unknown here."""
    with database.write() as tx:
        cluster = clusters.find_cluster(tx.connection, event.cluster_id)
        if cluster is None:
            return False
        if not tx.first_seen(event.event_id, "prepare_node"):
            return True
        instance = clusters.instance(tx.connection, event.instance_id)
        if cluster.status in (ClusterStatus.DELETING, ClusterStatus.DELETED) or instance.status == Status.DELETED:
            return True
        volume = event.volume
        same_server = instance.server == event.server
        clusters.save_instance(
            tx, replace(
                instance, addr=event.addr, user=event.user, ssh_port=event.ssh_port, local_id=event.local_id,
                server=event.server, host_key=instance.host_key if same_server else event.host_key,
                reach=event.reach, data_dir=volume.mount_point if volume else "",
                volume_device=volume.device if volume and not volume.mounted else "",
            ),
        )  # fmt: skip
        _file(tx, PREPARE, instance, event.operation_id, f"{PREPARE}:{event.event_id}")
        return True


def fail_cluster(database: Database, event: InstanceFailed) -> None:
    """A server could not be had: so its cluster has failed."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "fail_cluster"):
            return
        cluster = clusters.find_cluster(tx.connection, event.cluster_id)
        if cluster is None or cluster.status in (ClusterStatus.DELETING, ClusterStatus.DELETED):
            return
        announce_failed(tx, cluster, event.operation_id, event.problem)


def release_cluster(database: Database, event: ClusterDeleteRequested) -> None:
    """Stop all work on a cluster; its secrets go once its servers are gone."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "release_cluster"):
            return
        tasks.cancel(tx, cluster_id=event.cluster_id)
        cluster = clusters.find_cluster(tx.connection, event.cluster_id)
        if cluster is None:
            _remember_deleting(tx, event)
        elif cluster.status != ClusterStatus.DELETED:
            cluster.become(ClusterStatus.DELETING)
            cluster.operation_id = event.operation_id
            clusters.save_cluster(tx, cluster)
        _delete_when_empty(tx, event.cluster_id, event.operation_id)


def forget_instance(database: Database, event: InstanceDeleted) -> bool:
    """A server is gone; with the last one the cluster's keys and credentials go as well.

    False while the cluster is still unknown here: the event has overtaken the wish to delete.
    """
    with database.write() as tx:
        if clusters.find_cluster(tx.connection, event.cluster_id) is None:
            return False
        if not tx.first_seen(event.event_id, "forget_instance"):
            return True
        for instance in clusters.instances(tx.connection, event.cluster_id):
            if instance.id == event.instance_id:
                instance.become(Status.DELETED)
                clusters.save_instance(tx, instance)
        _delete_when_empty(tx, event.cluster_id, event.operation_id)
        return True


def cancel_operation(database: Database, event: OperationCancelRequested) -> None:
    """Ask the work under an operation to stop."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "cancel_operation"):
            tasks.cancel(tx, operation_id=event.operation_id)


def retry_operation(database: Database, event: OperationRetryRequested) -> None:
    """Let failed work under an operation go on from the step that failed."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "retry_operation"):
            return
        cluster = clusters.find_cluster(tx.connection, event.cluster_id)
        if cluster is not None and cluster.status == ClusterStatus.FAILED:
            cluster.become(ClusterStatus.EXPECTED)
            clusters.save_cluster(tx, cluster)
        tasks.reopen(tx, event.operation_id)


def request_perform(database: Database, event: PerformRequested) -> None:
    """File commands to run on an instance."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "request_perform"):
            instance = clusters.instance(tx.connection, event.instance_id)
            _file(tx, PERFORM, instance, event.operation_id, f"{PERFORM}:{event.operation_id}",
                  name=event.name, commands=list(event.commands))  # fmt: skip


def request_access(database: Database, event: AccessRequested | AccessRevokeRequested) -> None:
    """File the opening of an instance for a person's key, or its shutting."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "request_access"):
            return
        instance = clusters.instance(tx.connection, event.instance_id)
        if isinstance(event, AccessRequested):
            kind, payload = GRANT, {"public_key": event.public_key, "minutes": event.minutes}
        else:
            kind, payload = REVOKE, {"access": event.access}
        tx.file(
            TaskDraft(
                # A subject of its own: a person may look at a host while something long runs on it.
                id=f"{kind}:{event.operation_id}", kind=kind, subject=f"access:{instance.id}",
                cluster_id=instance.cluster_id, operation_id=event.operation_id, host=instance.name,
                payload={"instance_id": instance.id, **payload},
            )
        )  # fmt: skip


def request_backup(database: Database, event: BackupRequested | BackupDue) -> None:
    """File a backup on a cluster's first node; an unknown cluster is answered with a failure."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "request_backup"):
            return
        nodes = [one for one in clusters.instances(tx.connection, event.cluster_id) if one.status == Status.READY]
        if not nodes:
            problem = Problem(step="backup", message="the cluster has no node that is ready",
                              what_to_do="wait until the cluster is active")  # fmt: skip
            tx.emit(BackupFailed(backup_id=event.backup_id, cluster_id=event.cluster_id,
                                 operation_id=event.operation_id, problem=problem))  # fmt: skip
            return
        _file(tx, BACKUP, nodes[0], event.operation_id, f"{BACKUP}:{event.backup_id}", backup_id=event.backup_id)


def issue_key(database: Database, cluster_id: str) -> str:
    """The public half of a cluster's key; the pair is made at the first request."""
    with database.read() as connection:
        pair = catalogue.key(connection, cluster_id)
    if pair is None:
        fresh = Key.create(f"dtrove-{cluster_id}")
        with database.write() as tx:
            pair = catalogue.key(tx.connection, cluster_id)
            if pair is None:
                catalogue.add_key(tx, cluster_id, fresh)
                pair = fresh
    return pair.public


def _delete_when_empty(tx: Tx, cluster_id: str, operation_id: str) -> None:
    cluster = clusters.find_cluster(tx.connection, cluster_id)
    if cluster is None or cluster.status != ClusterStatus.DELETING:
        return
    if any(one.status != Status.DELETED for one in clusters.instances(tx.connection, cluster_id)):
        return
    cluster.become(ClusterStatus.DELETED)
    cluster.admin_password = Secret("")
    clusters.save_cluster(tx, cluster)
    catalogue.forget_key(tx, cluster_id)
    tx.emit(ClusterDeleted(cluster_id=cluster_id, operation_id=operation_id))


def _remember_deleting(tx: Tx, event: ClusterDeleteRequested) -> None:
    """A wish to delete overtook the wish to make: remember it, so that the late one finds a cluster that goes."""
    clusters.add_cluster(
        tx, Cluster(
            id=event.cluster_id, project_id=event.project_id, operation_id=event.operation_id, name="",
            datastore_id="", size=0, ram_mb=0, vcpus=0, status=ClusterStatus.DELETING,
        ),
    )  # fmt: skip
    for instance_id in event.instance_ids:
        clusters.add_instance(tx, Instance(id=instance_id, cluster_id=event.cluster_id, name=""))


def _file(tx: Tx, kind: str, instance: Instance, operation_id: str, task_id: str, **payload: object) -> None:
    tx.file(
        TaskDraft(
            id=task_id, kind=kind, subject=instance.id, cluster_id=instance.cluster_id, operation_id=operation_id,
            payload={"instance_id": instance.id, **payload}, host=instance.name,
        )
    )  # fmt: skip
