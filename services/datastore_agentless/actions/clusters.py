"""A cluster from the wish to make it to its last server's end, as the bus tells of it.

Every change of a cluster or of one of its instances holds the cluster's row: two servers that go at the same moment would
each see the other alive, and nobody would notice that the cluster is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from services.datastore_agentless.actions.accounts import Open, open_all
from services.datastore_agentless.actions.requests import file_task
from services.datastore_agentless.domain import proofs
from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import GOING as LEFT
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.parameters import State, Version
from services.datastore_agentless.hosts.volumes import MOUNT_POINT
from services.datastore_agentless.store import (
    accounts,
    backups,
    catalogue,
    clusters,
    health,
    imports,
    parameters,
    resizes,
    restores,
    rolls,
    takeovers,
    watches,
)
from services.datastore_agentless.workflows.ending import announce_failed
from services.datastore_agentless.workflows.keeping import DELETE, DELETE_EXPORT
from services.datastore_agentless.workflows.leave_node import DISMISS, file_leave
from shared.contracts.api import ClusterDeleteRequested, ClusterRequested
from shared.contracts.datastore_agentless import ClusterDeleted
from shared.contracts.provisioner import InstanceActive, InstanceDeleted, InstanceFailed
from shared.contracts.state import HostClocks
from shared.contracts.values import DatastoreRef, Problem, Topology
from shared.db import Database, Tx, tasks
from shared.errors import Failure, Unavailable
from shared.secrets import Secret, generate_password

PREPARE = "prepare_node"
AdminUserOf = Callable[[Datastore], str]


def expect_cluster(
    database: Database, event: ClusterRequested, admin_user_of: AdminUserOf, unseal: Open = Secret
) -> None:
    """Record a cluster, its nodes to come and a login made for it; one that nobody here can manage fails at once.

    `admin_user_of` names the administrator that a datastore's manager makes, and raises Failure where there is no manager;
    `unseal` opens what came sealed.
    """
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "expect_cluster"):
            return
        entry = _datastore(tx, event.datastore)
        together = event.topology or Topology(mode="")
        cluster = Cluster(
            id=event.cluster_id, project_id=event.project_id, operation_id=event.operation_id, name=event.name,
            datastore_id=entry.id, size=event.size, ram_mb=event.flavor.ram_mb, vcpus=event.flavor.vcpus,
            volume_gb=event.volume_gb or 0, admin_password=generate_password(), replication_password=generate_password(),
            mode=together.mode, parameters=dict(event.parameters), failover=together.failover,
            primary_id=event.instances[0].id if event.instances else "",
            restore_id=event.restore.backup_id if event.restore else "",
            restore_time=event.restore.time if event.restore else None,
            proof=proofs.wanted(event.proof, event.occurred_at) if event.proof else {},
        )  # fmt: skip
        trouble = None
        try:
            if event.restore:
                backups.chain(tx.connection, cluster.restore_id, cluster.project_id, entry)
            cluster.admin_user = admin_user_of(entry)
        except Failure as error:
            trouble = Problem(step="expect", message=error.message, what_to_do=error.what_to_do)
        if not clusters.add_cluster(tx, cluster):
            return
        if event.parameters:
            parameters.add(tx, Version(operation_id=event.operation_id, cluster_id=cluster.id, version=1, at=event.occurred_at,
                                       wanted=dict(event.parameters), state=State.APPLIED))  # fmt: skip
        for ref in event.instances:
            node = Instance(id=ref.id, cluster_id=event.cluster_id, name=ref.name, operation_id=event.operation_id)
            clusters.add_instance(tx, node)
        if event.accounts:
            accounts.add(tx, event.operation_id, cluster.id, open_all(event.accounts, unseal))
        if trouble is not None:
            announce_failed(tx, cluster, event.operation_id, trouble)


def prepare_node(database: Database, event: InstanceActive) -> bool:
    """File the preparation of a server that came up; false while it is still unknown here, or its cluster is."""
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        instance = clusters.find_instance(tx.connection, event.instance_id)
        if instance is None and cluster.status not in GOING:
            return False
        if not tx.first_seen(event.event_id, "prepare_node"):
            return True
        if cluster.status in GOING or instance is None or instance.status in LEFT or not cluster.admin_user:
            return True
        if event.cluster_addr:
            cluster.addr = event.cluster_addr
            clusters.save_cluster(tx, cluster)
        volume = event.volume
        attached = volume.device if volume and not volume.mounted else ""
        same_server = instance.server == event.server
        clusters.save_instance(
            tx, replace(
                instance, addr=event.addr, user=event.user, ssh_port=event.ssh_port, local_id=event.local_id,
                server=event.server, host_key=instance.host_key if same_server else event.host_key,
                reach=event.reach, volume_device=attached,
                data_dir=volume.mount_point or MOUNT_POINT if volume else "",
            ),
        )  # fmt: skip
        file_task(tx, PREPARE, instance, event.operation_id, f"{PREPARE}:{event.event_id}",
                  keeps_host_key=event.keeps_host_key)  # fmt: skip
        return True


def fail_cluster(database: Database, event: InstanceFailed) -> bool:
    """A server could not be had: so what was to make it has failed. False while its cluster is still unknown here."""
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        if not tx.first_seen(event.event_id, "fail_cluster") or cluster.status in GOING:
            return True
        instance = clusters.find_instance(tx.connection, event.instance_id)
        if instance is not None and instance.status == Status.EXPECTED:
            clusters.change_instance(tx, instance, status=Status.FAILED)
        announce_failed(tx, cluster, event.operation_id, event.problem)
        return True


def release_cluster(database: Database, event: ClusterDeleteRequested) -> None:
    """Stop all work on a cluster; its secrets go once its servers are gone. Its backups stay, and those that are to go do go."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "release_cluster"):
            return
        tasks.cancel(tx, cluster_id=event.cluster_id, but=(DELETE, DELETE_EXPORT))
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None and not _remember_deleting(tx, event):
            cluster = clusters.lock(tx, event.cluster_id)
        if cluster is not None and cluster.status != ClusterStatus.DELETED:
            cluster.become(ClusterStatus.DELETING)
            cluster.operation_id = event.operation_id
            clusters.save_cluster(tx, cluster)
        _delete_when_empty(tx, event.cluster_id, event.operation_id)


def forget_instance(database: Database, event: InstanceDeleted) -> bool:
    """A server is gone; with the last one the cluster's keys and credentials go as well. A cluster that serves on forgets it.

    False while the cluster is still unknown here: the event has overtaken the wish to delete.
    """
    with database.write() as tx:
        cluster = clusters.lock(tx, event.cluster_id)
        if cluster is None:
            return False
        if not tx.first_seen(event.event_id, "forget_instance"):
            return True
        for instance in clusters.instances(tx.connection, event.cluster_id):
            if instance.id == event.instance_id:
                if instance.status == Status.LEAVING and cluster.status not in GOING:
                    file_leave(tx, instance, DISMISS)
                instance.become(Status.DELETED)
                health.forget_nodes(tx, (instance.id,))
                clusters.save_instance(tx, instance)
        _delete_when_empty(tx, event.cluster_id, event.operation_id)
        return True


def clocks(database: Database) -> HostClocks | None:
    """How far the hosts' clocks are off, as each was when it was looked at; None while the database is away."""
    try:
        with database.read() as connection:
            known, host, seconds = clusters.clocks(connection)
    except Unavailable:
        return None
    return HostClocks(known=known, worst_host=host, worst_seconds=seconds)


def _datastore(tx: Tx, ref: DatastoreRef) -> Datastore:
    """The entry of the catalogue that a wish names; one that came from elsewhere is taken in, and not offered."""
    known = catalogue.find(tx.connection, ref.id, ref.manager, ref.version)
    if known is not None:
        return known
    entry = Datastore(id=ref.id, manager_class=ref.manager, manager=ref.manager, version=ref.version, image=ref.image,
                      packages=list(ref.packages), deleted=True)  # fmt: skip
    catalogue.put(tx, entry)
    return entry


def _delete_when_empty(tx: Tx, cluster_id: str, operation_id: str) -> None:
    cluster = clusters.find_cluster(tx.connection, cluster_id)
    if cluster is None or cluster.status != ClusterStatus.DELETING:
        return
    if any(one.status != Status.DELETED for one in clusters.instances(tx.connection, cluster_id)):
        return
    cluster.become(ClusterStatus.DELETED)
    cluster.admin_password = cluster.replication_password = Secret("")
    clusters.save_cluster(tx, cluster)
    catalogue.forget_key(tx, cluster_id)
    takeovers.forget(tx, cluster_id)
    parameters.forget(tx, cluster_id)
    rolls.forget(tx, cluster_id)
    accounts.forget(tx, cluster_id)
    imports.forget(tx, cluster_id)
    restores.forget(tx, cluster_id)
    resizes.forget(tx, cluster_id)
    watches.forget(tx, cluster_id)
    health.forget_cluster(tx, cluster_id)
    tx.emit(ClusterDeleted(cluster_id=cluster_id, operation_id=operation_id))


def _remember_deleting(tx: Tx, event: ClusterDeleteRequested) -> bool:
    """A wish to delete overtook the wish to make: remember it, so that the late one finds a cluster that goes.

    False when the wish to make has come at this very moment.
    """
    fresh = clusters.add_cluster(
        tx, Cluster(
            id=event.cluster_id, project_id=event.project_id, operation_id=event.operation_id, name="",
            datastore_id="", size=0, ram_mb=0, vcpus=0, status=ClusterStatus.DELETING,
        ),
    )  # fmt: skip
    for instance_id in event.instance_ids if fresh else ():
        clusters.add_instance(tx, Instance(id=instance_id, cluster_id=event.cluster_id, name=""))
    return fresh
