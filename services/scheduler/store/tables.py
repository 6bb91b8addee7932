"""The scheduler's slice of the database: schedules, what they have made, and whose clusters are whose."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, String, Table, Text

from shared.contracts.schedules import FULL_DAYS
from shared.db.tables import add_machinery
from shared.db.types import UtcDateTime

metadata = MetaData()
# How a backup stands.
RUNNING, COMPLETED, EXPIRED, DAMAGED = "running", "completed", "expired", "damaged"

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
    Column("store", String(64), nullable=False, default="", server_default=""),
    Column("keep_count", Integer),
    Column("keep_days", Integer),
    Column("version", Integer, nullable=False, default=0, server_default="0"),
    Column("sequence", Integer, nullable=False, default=0, server_default="0"),
    Column("removed_at", UtcDateTime),
    Column("last_backup_id", String(64), nullable=False, default="", server_default=""),
    Column("last_outcome", String(16), nullable=False, default="", server_default=""),
    Column("last_message", Text, nullable=False, default="", server_default=""),
    Column("verify_days", Integer),
    Column("proof_backup_id", String(64), nullable=False, default="", server_default=""),
    Column("proof_said_at", UtcDateTime),
    Column("proven_at", UtcDateTime),
    Column("full_days", Integer, nullable=False, default=FULL_DAYS, server_default=str(FULL_DAYS)),
    Index("schedules_due", "enabled", "next_at"),
    Index("schedules_said", "said_at"),
    Index("schedules_cluster", "cluster_id"),
    Index("schedules_operation", "last_operation_id"),
)

# Clusters that were heard of. `given_at`: when one got the schedule that every new cluster gets, which is once; `renewed_at`: when a full
# backup was last said to be due because another one is damaged.
clusters = Table(
    "clusters",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("manager", String(255), nullable=False),
    Column("active_at", UtcDateTime),
    Column("given_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Column("renewed_at", UtcDateTime),
)

# Backups that are there, whole or `damaged`, are being made, or were told to go (`expired`) and have not gone yet; `operation_id` and `said_at`
# are those of that word. What an incremental one builds upon may be of no schedule: then `schedule_id` is empty.
backups = Table(
    "backups",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("schedule_id", String(64), nullable=False),
    Column("cluster_id", String(64), nullable=False),
    Column("project_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("base_id", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("begun_at", UtcDateTime, nullable=False),
    Column("completed_at", UtcDateTime),
    Column("expired_at", UtcDateTime),
    Column("said_at", UtcDateTime),
    Column("operation_id", String(64), nullable=False, default=""),
    Index("backups_cluster", "cluster_id"),
    Index("backups_said", "said_at"),
    Index("backups_state", "state", "begun_at"),
)

add_machinery(metadata)
