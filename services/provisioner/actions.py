"""The provisioner's use cases, one transaction each: messages file work, they never carry it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from services.provisioner import addressing
from services.provisioner.domain.findings import ADDRESS
from services.provisioner.domain.instance import Instance, Status, Volume
from services.provisioner.providers.base import Found
from services.provisioner.providers.clouds import OWN
from services.provisioner.store import instances
from services.provisioner.workflows.lead_address import MOVE, TAKE
from services.provisioner.workflows.remove_thing import REMOVE
from services.provisioner.workflows.resize_instance import GROW
from shared.contracts.api import (
    ClusterDeleteRequested,
    ClusterRequested,
    NodesRequested,
    OperationCancelRequested,
    OperationRetryRequested,
)
from shared.contracts.datastore_agentless import NodeReleased
from shared.contracts.provisioner import FlavorsListed, InstanceDeleted
from shared.contracts.values import Flavor, InstanceRef
from shared.db import Database, Tx, tasks
from shared.errors import Conflict, Invalid
from shared.workflow import TaskDraft

BUILD, DELETE = "build_instance", "delete_instance"
CREATE_VOLUME, ATTACH_VOLUME = "create_volume", "attach_volume"
UNMADE = (Status.REQUESTED, Status.BUILDING, Status.FAILED)
# What goes on when a user retries an operation. Power and sizes are not among it: whoever wants them judges anew, and asks.
AGAIN = (BUILD, DELETE, CREATE_VOLUME, ATTACH_VOLUME, REMOVE, TAKE)
Wish = ClusterRequested | NodesRequested
End = ClusterDeleteRequested | NodeReleased


def request_instances(database: Database, event: Wish, *, lent: bool = False, addressed: bool = False) -> None:
    """File one build per instance that is wanted; `lent`: in the account that its project has lent.

    `addressed`: a cluster that is wanted gets an address of its own.
    """
    with database.write() as tx:
        if tx.first_seen(event.event_id, "request_instances"):
            account = event.project_id if lent else OWN
            fresh = [ref for ref in event.instances if _file_build(tx, event, ref, account)]
            # A cluster whose end was heard of first gets none.
            if addressed and fresh and isinstance(event, ClusterRequested):
                addressing.file_take(tx, event, account)


def delete_cluster(database: Database, event: ClusterDeleteRequested) -> None:
    """Stop what is being built for a cluster and file the deletion of each of its instances.

    An instance never heard of is answered as deleted, and remembered so that a late wish for it does not make it.
    """
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "delete_cluster"):
            return
        tasks.cancel(tx, cluster_id=event.cluster_id, kinds=(BUILD, TAKE, MOVE))
        addressing.let_go(tx, event.cluster_id)
        known = {instance.id: instance for instance in instances.of_cluster(tx.connection, event.cluster_id)}
        for instance_id in event.instance_ids:
            if instance_id not in known:
                _remember_deleted(tx, event, instance_id)
        for instance in known.values():
            if instance.status == Status.DELETED:
                tx.emit(_deleted(instance.id, event))
            else:
                _file_again(tx, DELETE, instance, operation_id=event.operation_id)


def delete_instance(database: Database, event: NodeReleased) -> None:
    """The same for one instance, which its cluster does without."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "delete_instance"):
            return
        tasks.cancel(tx, subject=event.instance_id, kinds=(BUILD,))
        if not instances.exists(tx.connection, event.instance_id):
            _remember_deleted(tx, event, event.instance_id)
            return
        instance = instances.get(tx.connection, event.instance_id)
        if instance.status == Status.DELETED:
            tx.emit(_deleted(instance.id, event))
        else:
            _file_again(tx, DELETE, instance, operation_id=event.operation_id)


def cancel_operation(database: Database, event: OperationCancelRequested) -> None:
    """Ask the work under an operation to stop and undo itself; a server that becomes another does so to the end, and that is told."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "cancel_operation"):
            tasks.cancel(tx, operation_id=event.operation_id, kinds=(BUILD, GROW))


def retry_operation(database: Database, event: OperationRetryRequested) -> None:
    """Let failed work under an operation go on."""
    with database.write() as tx:
        if tx.first_seen(event.event_id, "retry_operation"):
            addressing.take_again(tx, event.operation_id, event.cluster_id)
            tasks.reopen(tx, event.operation_id, kinds=AGAIN)


def announce_flavors(
    database: Database, provider: str, flavors: list[Flavor], *, volumes: bool, snapshots: bool, resize: bool,
    addresses: bool = False,
) -> None:  # fmt: skip
    """Tell everybody what sizes there are."""
    with database.write() as tx:
        tx.emit(
            FlavorsListed(
                provider=provider,
                flavors=tuple(flavors),
                supports_volumes=volumes,
                supports_snapshots=snapshots,
                supports_resize=resize,
                supports_addresses=addresses,
            )
        )


def create_server(database: Database, instance_id: str, volume_id: str | None) -> str:
    """File the building of a known instance again (an operator's wish), unless it is being built; return the task's id.

    Raises NotFound, Conflict for an instance that has its server or is on its way out.
    """
    with database.write() as tx:
        instance = instances.get(tx.connection, instance_id)
        if instance.status not in UNMADE:
            raise Conflict(f"instance {instance_id} is {instance.status}: nothing is to be built for it",
                           what_to_do="delete its cluster and ask for a new one")  # fmt: skip
        if volume_id and instance.volume:
            instance.volume.id = volume_id
            instances.save(tx, instance)
        return _file_again(tx, BUILD, instance)


def create_volume(database: Database, instance_id: str) -> str:
    """File the making of an instance's volume; return the task's id. Raises NotFound, Invalid, Conflict."""
    with database.write() as tx:
        return _file_again(tx, CREATE_VOLUME, _with_volume(tx, instance_id))


def attach_volume(database: Database, instance_id: str, volume_id: str) -> str:
    """File the attaching and mounting of an instance's volume, `volume_id` where that is not empty; return the task's id.

    Raises NotFound, Invalid, Conflict.
    """
    with database.write() as tx:
        instance = _with_volume(tx, instance_id)
        return _file_again(tx, ATTACH_VOLUME, instance, {"volume_id": volume_id})


def sweep(database: Database, seen: Iterable[Found]) -> list[str]:
    """File the deletion of what the provider still holds for instances that are deleted; return the instances' ids.

    A cloud may bring to light a server that it had accepted long ago. What is tagged with ids that were never heard of
    belongs to somebody else, and stays.
    """
    filed = []
    with database.write() as tx:
        for instance_id in dict.fromkeys(found.instance_id for found in seen if found.kind != ADDRESS):
            if not instances.exists(tx.connection, instance_id):
                continue
            instance = instances.get(tx.connection, instance_id)
            if instance.status == Status.DELETED:
                _file_again(tx, DELETE, instance)
                filed.append(instance_id)
    return filed


def _with_volume(tx: Tx, instance_id: str) -> Instance:
    instance = instances.get(tx.connection, instance_id)
    if instance.status in (Status.DELETING, Status.DELETED):
        raise Conflict(f"instance {instance_id} is {instance.status}")
    if instance.volume is None:
        raise Invalid(f"instance {instance_id} was asked for without a volume",
                      what_to_do="ask for a cluster with `volume_gb`")  # fmt: skip
    return instance


def _file_again(
    tx: Tx, kind: str, instance: Instance, payload: dict[str, str] | None = None, operation_id: str = ""
) -> str:
    """File a task that may have been filed, and have ended, before; return the id of the one that is open now."""
    there = instances.open_task(tx.connection, tx.database, kind, instance.id)
    if there:
        return there
    # Milliseconds in hexadecimal: an id has room for 64 characters.
    moment = f":{int(tx.database.clock.now().timestamp() * 1000):x}"
    draft = _draft(kind, instance, operation_id or instance.operation_id, suffix=moment, payload=payload or {})
    tx.file(draft)
    return draft.id


def _file_build(tx: Tx, event: Wish, ref: InstanceRef, account: str) -> bool:
    """Whether it was not heard of before."""
    if instances.exists(tx.connection, ref.id):
        return False
    instance = Instance(
        id=ref.id, cluster_id=event.cluster_id, project_id=event.project_id, operation_id=event.operation_id,
        name=ref.name, image=event.datastore.image, flavor=event.flavor, port=event.datastore.port,
        volume=Volume(size_gb=event.volume_gb) if event.volume_gb else None, account=account,
    )  # fmt: skip
    instances.add(tx, instance)
    tx.file(_draft(BUILD, instance, event.operation_id))
    return True


def _draft(
    kind: str,
    instance: Instance,
    operation_id: str,
    suffix: str = "",
    payload: Mapping[str, str] = MappingProxyType({}),
) -> TaskDraft:
    return TaskDraft(
        id=f"{kind}:{instance.id}{suffix}", kind=kind, subject=instance.id, cluster_id=instance.cluster_id,
        operation_id=operation_id, payload={"instance_id": instance.id, **payload}, host=instance.name,
    )  # fmt: skip


def _remember_deleted(tx: Tx, event: End, instance_id: str) -> None:
    nothing = Flavor(id="", name="", vcpus=0, ram_mb=0, disk_gb=0)
    instances.add(
        tx, Instance(
            id=instance_id, cluster_id=event.cluster_id, project_id=event.project_id, operation_id=event.operation_id,
            name="", image="", flavor=nothing, status=Status.DELETED,
        ),
    )  # fmt: skip
    tx.emit(_deleted(instance_id, event))


def _deleted(instance_id: str, event: End) -> InstanceDeleted:
    return InstanceDeleted(instance_id=instance_id, cluster_id=event.cluster_id, operation_id=event.operation_id)
