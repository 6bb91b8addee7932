"""What the API learns from the bus: the read model follows events, whatever order they come in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, insert, select, update

from services.api.store import tables
from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.contracts.base import Event, dump
from shared.contracts.operations import OperationProgressed
from shared.contracts.values import Problem
from shared.db import Database, Tx

OUTPUT_KEPT = 262_144
ENDED = ("succeeded", "failed", "cancelled")
QUIET = ("operation.progressed", "transcript.recorded", "flavors.listed", "datastore.registered")


def hear(database: Database, event: Event) -> None:
    """Apply one event to the read model, once."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "hear"):
            return
        _HANDLERS[type(event)](tx, event)
        if event.topic not in QUIET:
            _remember(tx, event)


def _remember(tx: Tx, event: Event) -> None:
    cluster_id = getattr(event, "cluster_id", "")
    c = tables.clusters
    row = tx.connection.execute(select(c.c.project_id).where(c.c.id == cluster_id)).first()
    if row is not None:
        tx.connection.execute(
            insert(tables.events).values(
                project_id=row.project_id, topic=event.topic, payload=event.to_payload(), occurred_at=event.occurred_at
            )
        )


def _instance_active(tx: Tx, event: provisioner.InstanceActive) -> None:
    t = tables.instances
    tx.connection.execute(
        update(t).where(t.c.id == event.instance_id, t.c.status.in_(("requested", "failed")))
        .values(status="building", addr=event.addr, server=event.server)
    )  # fmt: skip
    _set_cluster(tx, event.cluster_id, ("requested",), status="building")


def _instance_failed(tx: Tx, event: provisioner.InstanceFailed) -> None:
    t = tables.instances
    tx.connection.execute(
        update(t).where(t.c.id == event.instance_id, t.c.status != "deleted")
        .values(status="failed", message=event.problem.message)
    )  # fmt: skip


def _instance_deleted(tx: Tx, event: provisioner.InstanceDeleted) -> None:
    t = tables.instances
    tx.connection.execute(update(t).where(t.c.id == event.instance_id).values(status="deleted"))


def _node_ready(tx: Tx, event: databases.NodeReady) -> None:
    t = tables.instances
    tx.connection.execute(
        update(t).where(t.c.id == event.instance_id, t.c.status != "deleted").values(status="active", message="")
    )


def _identity_changed(tx: Tx, event: databases.NodeIdentityChanged) -> None:
    t = tables.instances
    words = f"the host at {event.addr} shows another key than the pinned one; nothing is sent to it"
    tx.connection.execute(update(t).where(t.c.id == event.instance_id).values(message=words))


def _cluster_active(tx: Tx, event: databases.ClusterActive) -> None:
    alive = ("requested", "building", "failed")
    _set_cluster(tx, event.cluster_id, alive, status="active", endpoint=dump(event.endpoint), message="")
    _end(tx, event.operation_id, "succeeded")


def _cluster_failed(tx: Tx, event: databases.ClusterFailed) -> None:
    _set_cluster(tx, event.cluster_id, ("requested", "building"), status="failed", message=event.problem.message)
    _end(tx, event.operation_id, "failed", event.problem)


def _cluster_deleted(tx: Tx, event: databases.ClusterDeleted) -> None:
    now = tx.database.clock.now()
    t = tables.clusters
    tx.connection.execute(
        update(t).where(t.c.id == event.cluster_id)
        .values(status="deleted", deleted_at=now, endpoint=None, operation_id=None)
    )  # fmt: skip
    i = tables.instances
    tx.connection.execute(update(i).where(i.c.cluster_id == event.cluster_id).values(status="deleted"))
    o = tables.operations
    cancelled = tx.connection.execute(
        select(o.c.id).where(o.c.id == event.operation_id, o.c.kind == "create_cluster")
    ).first()
    _end(tx, event.operation_id, "cancelled" if cancelled else "succeeded")


def _perform_completed(tx: Tx, event: databases.PerformCompleted) -> None:
    _end(tx, event.operation_id, "succeeded")


def _perform_failed(tx: Tx, event: databases.PerformFailed) -> None:
    _end(tx, event.operation_id, "cancelled" if event.cancelled else "failed", event.problem)


def _backup_completed(tx: Tx, event: databases.BackupCompleted) -> None:
    _end(tx, event.operation_id, "succeeded")


def _backup_failed(tx: Tx, event: databases.BackupFailed) -> None:
    _end(tx, event.operation_id, "failed", event.problem)


def _datastore_registered(tx: Tx, event: databases.DatastoreRegistered) -> None:
    put_datastore(tx, {name: getattr(event, name) for name in
                       ("id", "manager", "version", "image", "name", "min_ram_mb", "deleted", "default_parameters")}
                  | {"packages": list(event.packages)})  # fmt: skip


def put_datastore(tx: Tx, values: dict[str, Any]) -> None:
    """Store an entry of the catalogue, new or changed."""
    t = tables.datastores
    if tx.connection.execute(update(t).where(t.c.id == values["id"]).values(**values)).rowcount == 0:
        tx.connection.execute(insert(t).values(**values))


def _flavors_listed(tx: Tx, event: provisioner.FlavorsListed) -> None:
    t = tables.flavors
    tx.connection.execute(delete(t))
    for flavor in event.flavors:
        tx.connection.execute(insert(t).values(**dump(flavor), supports_volumes=event.supports_volumes))


def _transcript_recorded(tx: Tx, event: databases.TranscriptRecorded) -> None:
    t = tables.transcript
    for entry in event.entries:
        known = select(t.c.sequence).where(t.c.operation_id == event.operation_id, t.c.sequence == entry.sequence)
        if tx.connection.execute(known).first() is None:
            tx.connection.execute(
                insert(t).values(operation_id=event.operation_id, sequence=entry.sequence, entry=dump(entry))
            )


def _progressed(tx: Tx, event: OperationProgressed) -> None:
    """Only a newer report overwrites an older one; ended operations still take the reports that came late."""
    t, o = tables.operation_steps, tables.operations
    _make_known(tx, event)
    tx.connection.execute(
        update(o).where(o.c.id == event.operation_id, o.c.status == "pending").values(status="running")
    )
    if event.output:
        tx.connection.execute(
            update(o).where(o.c.id == event.operation_id).values(output=_appended(tx, _output_of(event), event.output))
        )
    key = (t.c.operation_id == event.operation_id, t.c.service == event.service, t.c.host == event.host,
           t.c.step == event.step)  # fmt: skip
    known = tx.connection.execute(select(t.c.sequence, t.c.message).where(*key)).first()
    values: dict[str, Any] = {
        "sequence": event.sequence, "status": event.status, "percent": event.percent, "stderr": event.stderr,
        "message": event.message or (known.message if known else ""),
        "finished_at": event.occurred_at if event.status in ENDED else None,
    }  # fmt: skip
    if known is None:
        tx.connection.execute(
            insert(t).values(operation_id=event.operation_id, service=event.service, host=event.host, step=event.step,
                             position=event.sequence, started_at=event.occurred_at, **values)
        )  # fmt: skip
    elif event.sequence > known.sequence:
        tx.connection.execute(update(t).where(*key).values(**values))


def _make_known(tx: Tx, event: OperationProgressed) -> None:
    """Work that another service began by itself (an operator's RPC, a schedule) becomes an operation here."""
    o, c = tables.operations, tables.clusters
    if tx.connection.execute(select(o.c.id).where(o.c.id == event.operation_id)).first() is not None:
        return
    owner = tx.connection.execute(select(c.c.project_id).where(c.c.id == event.cluster_id)).first()
    if owner is not None:
        tx.connection.execute(
            insert(o).values(id=event.operation_id, kind=event.kind, cluster_id=event.cluster_id, status="running",
                             project_id=owner.project_id, output="", created_at=event.occurred_at)
        )  # fmt: skip


def _output_of(event: OperationProgressed) -> Select[tuple[str]]:
    return select(tables.operations.c.output).where(tables.operations.c.id == event.operation_id)


def _appended(tx: Tx, query: Select[tuple[str]], text: str) -> str:
    before = str(tx.connection.execute(query).scalar_one_or_none() or "")
    return (before + text)[-OUTPUT_KEPT:]


def _set_cluster(tx: Tx, cluster_id: str, when: tuple[str, ...], **values: Any) -> None:
    t = tables.clusters
    tx.connection.execute(update(t).where(t.c.id == cluster_id, t.c.status.in_(when)).values(**values))


def _end(tx: Tx, operation_id: str, status: str, problem: Problem | None = None) -> None:
    """End an operation, and let its cluster go on to the next."""
    o, c = tables.operations, tables.clusters
    values: dict[str, Any] = {"status": status, "finished_at": tx.database.clock.now()}
    if problem is not None:
        values["problem"] = dump(problem)
    tx.connection.execute(update(o).where(o.c.id == operation_id, o.c.status.not_in(ENDED)).values(**values))
    tx.connection.execute(update(c).where(c.c.operation_id == operation_id).values(operation_id=None))


_HANDLERS: dict[type[Event], Any] = {
    provisioner.InstanceActive: _instance_active,
    provisioner.InstanceFailed: _instance_failed,
    provisioner.InstanceDeleted: _instance_deleted,
    provisioner.FlavorsListed: _flavors_listed,
    databases.NodeReady: _node_ready,
    databases.NodeIdentityChanged: _identity_changed,
    databases.ClusterActive: _cluster_active,
    databases.ClusterFailed: _cluster_failed,
    databases.ClusterDeleted: _cluster_deleted,
    databases.PerformCompleted: _perform_completed,
    databases.PerformFailed: _perform_failed,
    databases.BackupCompleted: _backup_completed,
    databases.BackupFailed: _backup_failed,
    databases.DatastoreRegistered: _datastore_registered,
    databases.TranscriptRecorded: _transcript_recorded,
    OperationProgressed: _progressed,
}
