"""Exports as users see them: which of them, and what of each."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, select

from services.api.domain.backups import Status
from services.api.store import tables
from services.api.store.views import stamp
from shared.contracts.exports import command


def query(project_id: str, *, cluster: str = "", status: str = "", deleted_clusters: bool = False) -> Select[Any]:
    """A project's exports that are not deleted, all or some."""
    e, c = tables.exports, tables.clusters
    wanted = select(e).where(e.c.project_id == project_id, e.c.status != Status.DELETED)
    if cluster:
        wanted = wanted.where(e.c.cluster_id == cluster)
    if status:
        wanted = wanted.where(e.c.status == status)
    if deleted_clusters:
        wanted = wanted.where(e.c.cluster_id.in_(select(c.c.id).where(c.c.deleted_at.is_not(None))))
    return wanted


def export(row: Row[Any], *, briefly: bool = False) -> dict[str, Any]:
    """One export; `briefly` without the names of its tables."""
    facts = row.facts
    if facts is not None:
        line = command(facts["file"], facts["restore"], encrypted=row.encrypted)
        facts = facts | {"file": file_name(row), "command": line} | ({"tables": []} if briefly else {})
    return {
        "id": row.id, "project": row.project_id, "cluster": row.cluster_id, "cluster_name": row.cluster_name,
        "operation": row.operation_id, "datastore": row.datastore, "format": row.format, "databases": row.databases,
        "tables": row.tables, "encrypted": row.encrypted, "store": row.store, "status": row.status, "facts": facts,
        "message": row.message, "problem": row.problem, "created_at": stamp(row.created_at),
        "started_at": stamp(row.started_at), "finished_at": stamp(row.finished_at),
    }  # fmt: skip


def file_name(row: Row[Any]) -> str:
    """What the file of an export is called that is whole."""
    return f"{row.facts['file']}.age" if row.encrypted else str(row.facts["file"])
