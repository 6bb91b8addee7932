"""What users ask of operations: to stop, or to go on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, update

from services.api.actions import backups, exports, imports, operations, parameters, scaling
from services.api.actions.clusters import get, request_delete
from services.api.actions.feed import announce
from services.api.actions.operations import operation
from services.api.store import tables
from shared.contracts.api import OperationCancelRequested, OperationRetryRequested
from shared.db import Tx
from shared.errors import Conflict

# What is not retried, why, and what to do.
_ASKED_ANEW = {
    operations.DELETE_BACKUP: ("what deletes a backup is not retried", "delete the backup again"),
    operations.DELETE_EXPORT: ("what deletes an export is not retried", "delete the export again"),
    operations.VERIFY: ("what proves a backup is gone with its answer", "verify the backup again"),
}
# Whose own row goes on with it.
_RESUMED = {operations.BACKUP: backups.resume, operations.EXPORT: exports.resume, operations.IMPORT: imports.resume}


def cancel(tx: Tx, project_id: str, operation_id: str) -> None:
    """Stop an operation; a create is undone whole. Asking again changes nothing. Raises NotFound, Conflict."""
    row = _lock_operation(tx, project_id, operation_id)
    if row.status == "cancelling":
        return
    if row.status not in operations.RUNNING:
        raise Conflict(f"the operation is {row.status} already")
    if row.kind in ("delete_cluster", scaling.REMOVE, operations.DELETE_BACKUP, operations.DELETE_EXPORT):
        raise Conflict("a delete cannot be cancelled", what_to_do="wait for its end")
    t = tables.operations
    tx.connection.execute(update(t).where(t.c.id == operation_id).values(status="cancelling"))
    if row.kind in ("create_cluster", operations.VERIFY):
        request_delete(tx, get(tx.connection, project_id, row.cluster_id), operation_id)
    elif row.kind == scaling.ADD:
        scaling.take_back(tx, project_id, row.cluster_id, operation_id)
    else:
        wish = OperationCancelRequested(operation_id=operation_id, cluster_id=row.cluster_id)
        announce(tx, wish, project_id)


def retry(tx: Tx, project_id: str, operation_id: str) -> None:
    """Let a failed operation go on from the step that failed. Raises NotFound, Conflict."""
    row = _lock_operation(tx, project_id, operation_id)
    if row.status != "failed":
        raise Conflict(f"only a failed operation can be retried; this one is {row.status}")
    if row.kind in _ASKED_ANEW:
        words, what_to_do = _ASKED_ANEW[row.kind]
        raise Conflict(words, what_to_do=what_to_do)
    c = tables.clusters
    cluster = tx.connection.execute(select(c.c.deleted_at).where(c.c.id == row.cluster_id)).first()
    if cluster is None or cluster.deleted_at is not None:
        raise Conflict("the cluster of this operation is gone")
    if row.kind == scaling.ADD and not scaling.of_operation(tx.connection, operation_id):
        raise Conflict("the nodes of this operation are gone", what_to_do="add nodes anew")
    if row.kind == parameters.CHANGE:
        parameters.resume(tx, operation_id, row.cluster_id)
    elif row.kind in _RESUMED:
        _RESUMED[row.kind](tx, operation_id)
    operations.resume(tx, operation_id)
    here = update(c).where(c.c.id == row.cluster_id)
    if row.exclusive:
        tx.connection.execute(here.values(operation_id=operation_id))
    if row.kind == "create_cluster":
        tx.connection.execute(here.where(c.c.status == "failed").values(status="building", message=""))
    announce(tx, OperationRetryRequested(operation_id=operation_id, cluster_id=row.cluster_id), project_id)


def _lock_operation(tx: Tx, project_id: str, operation_id: str) -> Row[Any]:
    """An operation as it stands once its cluster is locked: everybody locks in this order. Raises NotFound."""
    cluster_id = operation(tx.connection, project_id, operation_id).cluster_id
    c = tables.clusters
    tx.connection.execute(select(c.c.id).where(c.c.id == cluster_id).with_for_update())
    return operation(tx.connection, project_id, operation_id)
