"""Backups as users see them: which of them, and what of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from services.api.domain.backups import Status
from services.api.store import archives, tables
from services.api.store.views import stamp


def query(project_id: str, *, cluster: str = "", status: str = "", deleted_clusters: bool = False) -> Select[Any]:
    """A project's backups that are not deleted, all or some."""
    b, c = tables.backups, tables.clusters
    wanted = select(b).where(b.c.project_id == project_id, b.c.status != Status.DELETED)
    if cluster:
        wanted = wanted.where(b.c.cluster_id == cluster)
    if status:
        wanted = wanted.where(b.c.status == status)
    if deleted_clusters:
        wanted = wanted.where(b.c.cluster_id.in_(select(c.c.id).where(c.c.deleted_at.is_not(None))))
    return wanted


def backups(connection: Connection, rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
    """Some, with how far the log goes on from each."""
    until = archives.ends(connection, {row.cluster_id for row in rows})
    return [_backup(row) | {"log_until": stamp(until.get(row.id))} for row in rows]


def _backup(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id, "project": row.project_id, "cluster": row.cluster_id, "cluster_name": row.cluster_name,
        "operation": row.operation_id or None, "schedule": row.schedule_id or None, "kind": row.kind or "full",
        "base": row.base_id or None, "store": row.store, "status": row.status, "datastore": row.datastore,
        "flavor": row.flavor, "volume_gb": row.volume_gb, "facts": _facts(row.facts), "message": row.message,
        "problem": row.problem, "created_at": stamp(row.created_at), "started_at": stamp(row.started_at),
        "finished_at": stamp(row.finished_at), "verified": _dated(row.proof, row.verified_at),
        "verification_failed": _dated(row.proof_failure, row.unproven_at),
    }  # fmt: skip


def _dated(kept: dict[str, Any] | None, at: datetime | None) -> dict[str, Any] | None:
    return None if kept is None else kept | {"at": stamp(at)}


def _facts(kept: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if kept is None else {"tally": None} | {name: value or None for name, value in kept.items()}
