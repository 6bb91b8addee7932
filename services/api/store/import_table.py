"""Imports, as users wish them, and as datastore_agentless tells of them."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Index, MetaData, String, Table, Text

from shared.db.types import UtcDateTime


def add_imports(metadata: MetaData) -> Table:
    """The table of imports, which are told of when their clusters are gone."""
    return Table(
        "imports",
        metadata,
        Column("id", String(64), primary_key=True),
        *(Column(f"{name}_id", String(64), nullable=False) for name in ("project", "cluster", "operation", "export")),
        Column("cluster_name", String(255), nullable=False),
        Column("status", String(16), nullable=False),
        Column("facts", JSON(none_as_null=True)),
        Column("problem", JSON(none_as_null=True)),
        Column("message", Text, nullable=False),
        *(Column(f"{name}_at", UtcDateTime) for name in ("said", "started", "finished")),
        Column("created_at", UtcDateTime, nullable=False),
        Index("imports_page", "project_id", "created_at", "id"),
        Index("imports_page_of_cluster", "cluster_id", "created_at", "id"),
    )  # fmt: skip
