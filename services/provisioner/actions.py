"""The provisioner's use cases, one transaction each: messages file work, they never carry it."""

from __future__ import annotations

from services.provisioner.domain.instance import Instance, Status, Volume
from services.provisioner.store import instances
from shared.contracts.api import (
    ClusterDeleteRequested,
    ClusterRequested,
    OperationCancelRequested,
    OperationRetryRequested,
)
from shared.contracts.provisioner import FlavorsListed, InstanceDeleted
from shared.contracts.values import Flavor, InstanceRef
from shared.db import Database, Tx, tasks
from shared.workflow import TaskDraft

BUILD, DELETE = "build_instance", "delete_instance"


def request_cluster(database: Database, event: ClusterRequested) -> None:
    """File one build per instance of a cluster that is wanted."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "request_cluster"):
            for ref in event.instances:
                _file_build(tx, event, ref)


def delete_cluster(database: Database, event: ClusterDeleteRequested) -> None:
    """Stop what is being built for a cluster and file the deletion of each of its instances.

    An instance never heard of is answered as deleted, and remembered so that a late wish for it does not make it.
    """
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "delete_cluster"):
            return
        tasks.cancel(tx, cluster_id=event.cluster_id, kinds=(BUILD,))
        known = {instance.id: instance for instance in instances.of_cluster(tx.connection, event.cluster_id)}
        for instance_id in event.instance_ids:
            if instance_id not in known:
                _remember_deleted(tx, event, instance_id)
        for instance in known.values():
            if instance.status == Status.DELETED:
                tx.emit(_deleted(instance.id, event))
            else:
                tx.file(_draft(DELETE, instance, event.operation_id))


def cancel_operation(database: Database, event: OperationCancelRequested) -> None:
    """Ask the work under an operation to stop and undo itself."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "cancel_operation"):
            tasks.cancel(tx, operation_id=event.operation_id, kinds=(BUILD,))


def retry_operation(database: Database, event: OperationRetryRequested) -> None:
    """Let failed work under an operation go on."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "retry_operation"):
            tasks.reopen(tx, event.operation_id)


def announce_flavors(
    database: Database, provider: str, flavors: list[Flavor], *, volumes: bool, snapshots: bool
) -> None:
    """Tell everybody what sizes there are."""
    with database.write() as tx:
        tx.emit(
            FlavorsListed(
                provider=provider, flavors=tuple(flavors), supports_volumes=volumes, supports_snapshots=snapshots
            )
        )


def create_server(database: Database, instance_id: str, volume_id: str | None) -> str:
    """File the building of one known instance again (an operator's wish); return the task's id."""
    with database.write() as tx:
        instance = instances.get(tx.connection, instance_id)
        if volume_id and instance.volume:
            instance.volume.id = volume_id
            instances.save(tx, instance)
        draft = _draft(BUILD, instance, instance.operation_id, suffix=f":{tx.database.clock.now().timestamp():.0f}")
        tx.file(draft)
        return draft.id


def _file_build(tx: Tx, event: ClusterRequested, ref: InstanceRef) -> None:
    if instances.exists(tx.connection, ref.id):
        return
    instance = Instance(
        id=ref.id, cluster_id=event.cluster_id, project_id=event.project_id, operation_id=event.operation_id,
        name=ref.name, image=event.datastore.image, flavor=event.flavor,
        volume=Volume(size_gb=event.volume_gb) if event.volume_gb else None,
    )  # fmt: skip
    instances.add(tx, instance)
    tx.file(_draft(BUILD, instance, event.operation_id))


def _draft(kind: str, instance: Instance, operation_id: str, suffix: str = "") -> TaskDraft:
    return TaskDraft(
        id=f"{kind}:{instance.id}{suffix}", kind=kind, subject=instance.id, cluster_id=instance.cluster_id,
        operation_id=operation_id, payload={"instance_id": instance.id}, host=instance.name,
    )  # fmt: skip


def _remember_deleted(tx: Tx, event: ClusterDeleteRequested, instance_id: str) -> None:
    nothing = Flavor(id="", name="", vcpus=0, ram_mb=0, disk_gb=0)
    instances.add(
        tx, Instance(
            id=instance_id, cluster_id=event.cluster_id, project_id=event.project_id, operation_id=event.operation_id,
            name="", image="", flavor=nothing, status=Status.DELETED,
        ),
    )  # fmt: skip
    tx.emit(_deleted(instance_id, event))


def _deleted(instance_id: str, event: ClusterDeleteRequested) -> InstanceDeleted:
    return InstanceDeleted(instance_id=instance_id, cluster_id=event.cluster_id, operation_id=event.operation_id)
