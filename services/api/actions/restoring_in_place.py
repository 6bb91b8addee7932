"""A cluster is to have the data of a backup in place of its own; what it had is kept until that is confirmed or undone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, update

from services.api.actions import clusters, operations, restoring, scaling
from services.api.actions.feed import announce, said_since
from services.api.store import tables
from services.api.store.views import stamp
from shared.contracts.restores import (
    ClusterRestoreConfirmed,
    ClusterRestored,
    ClusterRestoreRequested,
    ClusterRestoreUndone,
    RestoreConfirmRequested,
    RestoreUndoRequested,
)
from shared.db import Tx
from shared.errors import Conflict, Invalid

RESTORE, UNDO, CONFIRM = "restore", "undo", "confirm"
_KINDS = {RESTORE: operations.RESTORE, UNDO: "undo_restore", CONFIRM: "confirm_restore"}
_c = tables.clusters


def request(tx: Tx, project_id: str, cluster_id: str, asked: dict[str, Any]) -> str:
    """Ask for other data; returns the operation's id. Raises NotFound, Conflict, Invalid."""
    row = clusters.lock(tx, project_id, cluster_id)
    source = _source(tx.connection, row, asked, locks=True)
    operation_id = operations.start_operation(tx, operations.RESTORE, cluster_id, project_id)
    announce(tx, ClusterRestoreRequested(cluster_id=cluster_id, operation_id=operation_id, project_id=project_id,
                                         restore=source.reference), project_id)  # fmt: skip
    return operation_id


def decide(tx: Tx, project_id: str, cluster_id: str, action: str) -> str:
    """Ask that a restore is undone, or confirmed; returns the operation's id. Raises NotFound, Conflict."""
    row = clusters.lock(tx, project_id, cluster_id)
    _see_decidable(tx.connection, row, action)
    operation_id = operations.start_operation(tx, _KINDS[action], cluster_id, project_id)
    wish = RestoreUndoRequested if action == UNDO else RestoreConfirmRequested
    announce(tx, wish(cluster_id=cluster_id, operation_id=operation_id, project_id=project_id), project_id)
    return operation_id


def plan_of(connection: Connection, project_id: str, cluster_id: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What datastore_agentless is asked for a plan of a restore. Raises NotFound, Conflict, Invalid."""
    row = clusters.get(connection, project_id, cluster_id)
    source = _source(connection, row, asked, locks=False)
    leads = clusters.instance(connection, project_id, row.primary_id).name if row.primary_id else row.name
    return {"cluster_id": row.id, "action": RESTORE, "told": source.told(leads)}


def plan_of_decision(connection: Connection, project_id: str, cluster_id: str, action: str) -> dict[str, Any]:
    """The same of its undoing, or of its confirmation. Raises NotFound, Conflict."""
    row = clusters.get(connection, project_id, cluster_id)
    _see_decidable(connection, row, action)
    return {"cluster_id": row.id, "action": action}


def restored(tx: Tx, event: ClusterRestored) -> None:
    """The cluster serves the data of the backup."""
    over = ("cluster.restore_undone", "cluster.restore_confirmed")
    if not said_since(tx, event.project_id, over, ("restore_id", event.restore_id), event.occurred_at):
        kept = {
            "backup": event.backup_id, "time": stamp(event.time), "instance": event.instance_id,
            "restored_at": stamp(event.occurred_at), "purge_at": stamp(event.purge_at), "restore": event.restore_id,
        }  # fmt: skip
        _keep(tx, event.cluster_id, kept)
    operations.end(
        tx, event.operation_id, "succeeded", result={"backup": event.backup_id, "purge_at": stamp(event.purge_at)}
    )


def undone(tx: Tx, event: ClusterRestoreUndone) -> None:
    """It serves again what it had; the operation ends once what was undone is gone."""
    _forget(tx, event.cluster_id, event.restore_id)


def confirmed(tx: Tx, event: ClusterRestoreConfirmed) -> None:
    """Nothing is kept of before."""
    _forget(tx, event.cluster_id, event.restore_id)
    operations.end(tx, event.operation_id, "succeeded")


def _source(connection: Connection, row: Row[Any], asked: dict[str, Any], *, locks: bool) -> restoring.Source:
    """What is to be restored. Raises Conflict, and Invalid by the fields of this request."""
    scaling.serves(row)
    if row.restored_in_place:
        raise Conflict(f"what {row.name} had before it was last restored is kept yet",
                       what_to_do="confirm or undo that first")  # fmt: skip
    try:
        return restoring.in_place(connection, row, asked, locks=locks)
    except Invalid as error:
        named = tuple(replace(one, field=one.field.removeprefix("restore.")) for one in error.errors)
        raise Invalid(error.message, named, what_to_do=error.what_to_do) from error


def _see_decidable(connection: Connection, row: Row[Any], action: str) -> None:
    """Raises Conflict where nothing is kept, or it cannot be put back."""
    kept = row.restored_in_place
    if not kept:
        raise Conflict(f"cluster {row.name} was not restored in place, or that is confirmed or undone by now")
    if action == CONFIRM:
        return
    scaling.serves(row)
    if row.primary_id not in ("", kept["instance"]):
        name = clusters.instance(connection, row.project_id, kept["instance"]).name
        raise Conflict(f"what {row.name} had before lies on {name}, which is not the primary any more",
                       what_to_do=f"switch over to {name} first")  # fmt: skip


def _keep(tx: Tx, cluster_id: str, kept: dict[str, Any] | None) -> None:
    tx.connection.execute(update(_c).where(_c.c.id == cluster_id).values(restored_in_place=kept))


def _forget(tx: Tx, cluster_id: str, restore_id: str) -> None:
    """Unless it is another restore's by now."""
    row = tx.connection.execute(_c.select().where(_c.c.id == cluster_id)).first()
    if row is not None and row.restored_in_place and row.restored_in_place["restore"] == restore_id:
        _keep(tx, cluster_id, None)
