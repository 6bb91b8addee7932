"""What users ask of backups: one to be made, one to be gone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from services.api.actions import clusters, operations, quotas
from services.api.actions.feed import announce
from services.api.domain.backups import BEING_MADE, Status
from services.api.store import tables
from shared.contracts.api import BackupDeleteRequested, BackupRequested
from shared.contracts.backups import FULL
from shared.contracts.base import new_id
from shared.db import Tx
from shared.errors import Conflict, FieldError, Invalid, NotFound

# In these a cluster has nothing that could be backed up.
BODILESS = ("requested", "building", "deleting")
_b = tables.backups


def request(tx: Tx, project_id: str, cluster_id: str, asked: dict[str, Any]) -> tuple[str, str]:
    """Ask for a backup now; returns its id and the operation's. Raises NotFound, Conflict, Invalid."""
    row = clusters.lock(tx, project_id, cluster_id)
    if row.status == "stopped":
        raise Conflict(
            f"cluster {row.name} is stopped: nothing on it can be asked for data", what_to_do="start it first"
        )
    if row.status in BODILESS:
        raise Conflict(f"cluster {row.name} is {row.status}: there is nothing to back up",
                       what_to_do="wait until it is active")  # fmt: skip
    see_kind(tx.connection, row, asked["kind"])
    about_bytes = size_of_last(tx.connection, cluster_id)
    quotas.make_room_for_backup(tx, project_id, about_bytes)
    operation_id = operations.start_operation(tx, operations.BACKUP, cluster_id, project_id)
    backup_id = new_id()
    put(tx, row, id=backup_id, operation_id=operation_id, kind=asked["kind"], store=asked["store"],
        counted_bytes=about_bytes)  # fmt: skip
    wish = BackupRequested(
        operation_id=operation_id, backup_id=backup_id, cluster_id=cluster_id, project_id=project_id,
        kind=asked["kind"], store=asked["store"],
    )  # fmt: skip
    announce(tx, wish, project_id)
    return backup_id, operation_id


def see_kind(connection: Connection, cluster: Row[Any], kind: str) -> None:
    """Raises Invalid where a cluster's datastore has no backups of this kind: a schedule of such would fail every night."""
    t = tables.datastores
    why = connection.execute(select(t.c.full_only).where(t.c.id == cluster.datastore["id"])).scalar_one_or_none()
    if kind != FULL and why:
        raise Invalid("the request was not accepted", (FieldError("kind", f"must be full: {cluster.datastore['name']} {why}"),),
                      what_to_do="ask for full ones")  # fmt: skip


def delete(tx: Tx, project_id: str, backup_id: str) -> str:
    """Ask that a backup goes, also one whose cluster is gone; returns the operation's id, the same when asked again.

    Raises NotFound, Conflict.
    """
    cluster_id = get(tx.connection, project_id, backup_id).cluster_id
    c = tables.clusters
    # The cluster first, as everybody locks.
    tx.connection.execute(select(c.c.id).where(c.c.id == cluster_id).with_for_update())
    row = lock(tx, project_id, backup_id)
    if row.status == Status.DELETING:
        return str(row.deletion_id)
    _see_unneeded(tx.connection, row)
    operation_id = operations.start_operation(tx, operations.DELETE_BACKUP, cluster_id, project_id, exclusive=False)
    change(tx, backup_id, status=Status.DELETING, deletion_id=operation_id, problem=None, message="")
    wish = BackupDeleteRequested(
        operation_id=operation_id, backup_id=backup_id, cluster_id=cluster_id, project_id=project_id
    )
    announce(tx, wish, project_id)
    return operation_id


def get(connection: Connection, project_id: str, backup_id: str) -> Row[Any]:
    """A backup of this project that is not deleted. Raises NotFound, also for another project's."""
    return _found(connection.execute(_mine(project_id, backup_id)).first(), backup_id)


def lock(tx: Tx, project_id: str, backup_id: str) -> Row[Any]:
    """The same, and nobody else changes it until this transaction ends. Raises NotFound."""
    return _found(tx.connection.execute(_mine(project_id, backup_id).with_for_update()).first(), backup_id)


def resume(tx: Tx, operation_id: str) -> None:
    """The operation that was to make a backup, and has failed, goes on."""
    again = {"status": Status.REQUESTED, "problem": None, "message": "", "finished_at": None}
    failed = update(_b).where(_b.c.operation_id == operation_id, _b.c.status == Status.FAILED)
    tx.connection.execute(failed.values(**again))


def put(tx: Tx, cluster: Row[Any], **values: Any) -> bool:
    """Write down a backup of a cluster as it is now; false where it is known."""
    fresh = {
        "operation_id": "", "deletion_id": "", "schedule_id": "", "base_id": "", "kind": "", "store": "", "message": "",
        "status": Status.REQUESTED, "counted_bytes": 0, "created_at": tx.database.clock.now(),
    }  # fmt: skip
    of_cluster = {
        "project_id": cluster.project_id, "cluster_id": cluster.id, "cluster_name": cluster.name,
        "datastore": cluster.datastore, "flavor": cluster.flavor, "volume_gb": cluster.volume_gb,
    }  # fmt: skip
    return tx.insert_new(_b, **{**fresh, **of_cluster, **values})


def change(tx: Tx, backup_id: str, **values: Any) -> None:
    """Change what is known of a backup."""
    tx.connection.execute(update(_b).where(_b.c.id == backup_id).values(**values))


def size_of_last(connection: Connection, cluster_id: str) -> int:
    """As much as is kept of a cluster's newest backup, in bytes: the next one will hardly be much smaller."""
    good = select(_b.c.counted_bytes).where(_b.c.cluster_id == cluster_id, _b.c.status == Status.COMPLETED)
    return int(connection.execute(good.order_by(_b.c.created_at.desc()).limit(1)).scalar() or 0)


def _see_unneeded(connection: Connection, row: Row[Any]) -> None:
    """Raises Conflict where something still writes or reads it."""
    if row.status in BEING_MADE:
        raise Conflict("the backup is being made",
                       what_to_do=f"wait for its end, or cancel the operation {row.operation_id}")  # fmt: skip
    c = tables.clusters
    begun = ("requested", "building")
    reads = select(c.c.name).where(c.c.restored_from == row.id, c.c.status.in_(begun), c.c.deleted_at.is_(None))
    if name := connection.execute(reads.limit(1)).scalar():
        raise Conflict(f"cluster {name} is being restored from this backup", what_to_do="wait until it is active")
    there = (Status.COMPLETED, *BEING_MADE)
    above = select(_b.c.id).where(_b.c.base_id == row.id, _b.c.status.in_(there)).limit(1)
    if other := connection.execute(above).scalar():
        raise Conflict(f"the backup {other} builds upon this one", what_to_do="delete that one first")


def _mine(project_id: str, backup_id: str) -> Any:
    return select(_b).where(_b.c.id == backup_id, _b.c.project_id == project_id, _b.c.status != Status.DELETED)


def _found(row: Row[Any] | None, backup_id: str) -> Row[Any]:
    if row is None:
        raise NotFound(f"there is no backup {backup_id[:64]}")
    return row
