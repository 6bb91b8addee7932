"""Logs that are kept beside backups: whose, how far, and what there is of them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text, false

from shared.db.types import UtcDateTime


def add_archives(metadata: MetaData) -> tuple[Table, Table]:
    """The table of clusters whose log is kept, and the one of what is kept: both may outlive a cluster, as backups do."""
    # Who is at it is in its row.
    archives = Table(
        "archives",
        metadata,
        Column("cluster_id", String(64), primary_key=True),
        Column("project_id", String(64), nullable=False),
        Column("epoch", Integer, nullable=False),
        Column("begun", JSON, nullable=False),
        Column("until", UtcDateTime),
        Column("broken_at", UtcDateTime),
        Column("trouble", Text, nullable=False),
        # When DTrove has last asked for a full backup by itself.
        Column("renewed_at", UtcDateTime),
        Column("stale", Boolean, nullable=False, default=False, server_default=false()),
        Column("history", String(64), nullable=False, default="", server_default=""),
        Column("due_at", UtcDateTime, nullable=False),
        Column("worker", String(64), nullable=False),
        Column("leased_until", UtcDateTime),
        Index("archives_due", "due_at"),
    )
    # A row for each run of pieces, not for each piece.
    log_runs = Table(
        "log_runs",
        metadata,
        Column("key", String(255), primary_key=True),
        Column("cluster_id", String(64), nullable=False),
        Column("instance_id", String(64), nullable=False),
        Column("line", String(64), nullable=False),
        Column("first", BigInteger, nullable=False),
        Column("last", BigInteger, nullable=False),
        Column("at", UtcDateTime, nullable=False),
        Column("store", String(64), nullable=False),
        Column("joined", Boolean, nullable=False),
        Column("stored_bytes", BigInteger, nullable=False),
        Column("manifest", JSON, nullable=False),
        Column("begins", Text, nullable=False, server_default=""),
        Column("ends", Text, nullable=False, server_default=""),
        # Of which data of the cluster it is: those of before a restore in place are others.
        Column("history", String(64), nullable=False, default="", server_default=""),
        Index("log_runs_cluster", "cluster_id", "at"),
    )
    return archives, log_runs
