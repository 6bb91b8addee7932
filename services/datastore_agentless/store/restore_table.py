"""Restores in place, each under the operation that it is."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Index, Integer, MetaData, String, Table

from shared.db.types import UtcDateTime


def add_restores(metadata: MetaData) -> Table:
    """The table of restores in place, which go with their clusters."""
    return Table(
        "restores",
        metadata,
        *(Column(f"{name}_id", String(64), primary_key=name == "operation", nullable=False)
          for name in ("operation", "cluster", "project", "backup")),
        Column("created_at", UtcDateTime, nullable=False),
        Column("moment", UtcDateTime),
        Column("taken", JSON, nullable=False),
        Column("former", String(64), nullable=False),
        Column("beginnings", Integer, nullable=False),
        Column("held", Boolean, nullable=False),
        Column("purge_at", UtcDateTime),
        Column("state", String(16), nullable=False),
        Index("restores_cluster", "cluster_id", "state"),
    )  # fmt: skip
