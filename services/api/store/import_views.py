"""Imports as users see them: which of them, and what of each."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, select

from services.api.store import tables
from services.api.store.views import stamp


def query(project_id: str, *, cluster: str = "", status: str = "") -> Select[Any]:
    """A project's imports, all or some."""
    i = tables.imports
    wanted = select(i).where(i.c.project_id == project_id)
    if cluster:
        wanted = wanted.where(i.c.cluster_id == cluster)
    if status:
        wanted = wanted.where(i.c.status == status)
    return wanted


def shown(row: Row[Any], *, briefly: bool = False) -> dict[str, Any]:
    """One import; `briefly` without the names of its tables."""
    facts = row.facts
    if facts is not None and briefly:
        facts = facts | {"tables": []}
    return {
        "id": row.id, "project": row.project_id, "cluster": row.cluster_id, "cluster_name": row.cluster_name,
        "operation": row.operation_id, "export": row.export_id, "status": row.status, "facts": facts, "message": row.message,
        "problem": row.problem, "created_at": stamp(row.created_at), "started_at": stamp(row.started_at),
        "finished_at": stamp(row.finished_at),
    }  # fmt: skip
