"""The scheduler's slice of the database: schedules."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, MetaData, String, Table

from shared.db.tables import add_machinery
from shared.db.types import UtcDateTime

metadata = MetaData()

schedules = Table(
    "schedules",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("cluster_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("cron", String(128), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("next_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime),
    Column("last_operation_id", String(64), nullable=False, default="", server_default=""),
    Column("said_at", UtcDateTime),
    Index("schedules_due", "enabled", "next_at"),
    Index("schedules_said", "said_at"),
    Index("schedules_cluster", "cluster_id"),
)

add_machinery(metadata)
