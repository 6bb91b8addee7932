"""Backups, as users wish them, and as the others tell of them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, MetaData, String, Table, Text

from shared.db.types import UtcDateTime


def add_backups(metadata: MetaData) -> Table:
    """The table of backups, which outlive their clusters.

    `verified_at` is when a proof was last passed, `unproven_at` when one failed after that; `damaged_at` when its store
    was found not to have it any more as it was, null for one that was fetched whole since.
    """
    return Table(
        "backups",
        metadata,
        Column("id", String(64), primary_key=True),
        *(Column(f"{name}_id", String(64), nullable=False)
          for name in ("project", "cluster", "operation", "deletion", "schedule", "base")),
        Column("cluster_name", String(255), nullable=False),
        Column("kind", String(16), nullable=False),
        Column("store", String(64), nullable=False),
        Column("status", String(16), nullable=False),
        Column("datastore", JSON, nullable=False),
        Column("flavor", JSON, nullable=False),
        Column("volume_gb", Integer),
        Column("facts", JSON(none_as_null=True)),
        Column("counted_bytes", BigInteger, nullable=False),
        Column("problem", JSON(none_as_null=True)),
        Column("message", Text, nullable=False),
        # What was seen when it was last restored for a proof, and what spoke against it since.
        Column("proof", JSON(none_as_null=True)),
        Column("proof_failure", JSON(none_as_null=True)),
        *(Column(f"{name}_at", UtcDateTime) for name in ("said", "started", "finished", "verified", "unproven", "damaged")),
        Column("created_at", UtcDateTime, nullable=False),
        Index("backups_page", "project_id", "created_at", "id"),
        Index("backups_page_of_cluster", "cluster_id", "created_at", "id"),
    )  # fmt: skip
