"""A cluster's last backup: made first, and the cluster is deleted only once that is whole."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, update

from services.api.actions import backups, clusters
from services.api.store import tables
from shared.db import Tx

_c = tables.clusters
UNDER_WAY = "it is deleted as soon as its last backup is completed"


def request(tx: Tx, project_id: str, cluster_id: str) -> str:
    """Ask for the backup after which the cluster goes; returns its operation's id, the same when asked again.

    A cluster that is on its way out already has none made any more. Raises NotFound, Conflict.
    """
    row = clusters.lock(tx, project_id, cluster_id)
    clusters.see_unprotected(row)
    if row.status == "deleting":
        return clusters.delete(tx, project_id, cluster_id)
    if row.final_backup:
        return str(backups.get(tx.connection, project_id, row.final_backup).operation_id)
    backup_id, operation_id = backups.request(tx, project_id, cluster_id, {"kind": "full", "store": ""})
    _set(tx, cluster_id, final_backup=backup_id, message=UNDER_WAY)
    return operation_id


def made(tx: Tx, cluster_id: str, backup_id: str) -> None:
    """It is whole: the cluster may go, unless it was protected meanwhile."""
    row = _waiting(tx, cluster_id, backup_id)
    if row is None:
        return
    if row.deletion_protection:
        _set(
            tx,
            cluster_id,
            final_backup=None,
            message="it was not deleted: it has been protected since that was asked for",
        )
        return
    _set(tx, cluster_id, final_backup=None)
    clusters.delete(tx, row.project_id, cluster_id)


def not_made(tx: Tx, cluster_id: str, backup_id: str, why: str) -> None:
    """It could not be made: the cluster stays, and its user is told."""
    if _waiting(tx, cluster_id, backup_id) is not None:
        _set(tx, cluster_id, final_backup=None, message=f"it was not deleted, for its last backup has failed: {why}")


def _waiting(tx: Tx, cluster_id: str, backup_id: str) -> Row[Any] | None:
    mine = (_c.c.id == cluster_id, _c.c.final_backup == backup_id, _c.c.status != "deleting", _c.c.deleted_at.is_(None))
    return tx.connection.execute(select(_c).where(*mine).with_for_update()).first()


def _set(tx: Tx, cluster_id: str, **values: Any) -> None:
    tx.connection.execute(update(_c).where(_c.c.id == cluster_id).values(**values))
