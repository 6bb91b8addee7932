"""Exports, as users wish them, and as datastore_agentless tells of them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, MetaData, String, Table, Text

from shared.db.types import UtcDateTime


def add_exports(metadata: MetaData) -> Table:
    """The table of exports, which outlive their clusters."""
    return Table(
        "exports",
        metadata,
        Column("id", String(64), primary_key=True),
        *(Column(f"{name}_id", String(64), nullable=False) for name in ("project", "cluster", "operation", "deletion")),
        Column("cluster_name", String(255), nullable=False),
        Column("datastore", JSON, nullable=False),
        Column("format", String(16), nullable=False),
        Column("databases", JSON, nullable=False),
        Column("tables", JSON, nullable=False),
        Column("encrypted", Boolean, nullable=False),
        Column("store", String(64), nullable=False),
        Column("status", String(16), nullable=False),
        Column("facts", JSON(none_as_null=True)),
        Column("counted_bytes", BigInteger, nullable=False),
        Column("problem", JSON(none_as_null=True)),
        Column("message", Text, nullable=False),
        *(Column(f"{name}_at", UtcDateTime) for name in ("said", "started", "finished")),
        Column("created_at", UtcDateTime, nullable=False),
        Index("exports_page", "project_id", "created_at", "id"),
        Index("exports_page_of_cluster", "cluster_id", "created_at", "id"),
    )  # fmt: skip
