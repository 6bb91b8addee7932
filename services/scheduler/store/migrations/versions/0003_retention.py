"""what schedules keep, what they have made, and whose clusters are whose"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXTS = (("store", sa.String(length=64)), ("last_backup_id", sa.String(length=64)), ("last_outcome", sa.String(length=16)),
          ("last_message", sa.Text()))  # fmt: skip
_KEEPING = ("keep_count", "keep_days")
_NUMBERS = ("version", "sequence")


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        for name, kind in _TEXTS:
            batch_op.add_column(sa.Column(name, kind, server_default="", nullable=False))
        for name in _KEEPING:
            batch_op.add_column(sa.Column(name, sa.Integer(), nullable=True))
        for name in _NUMBERS:
            batch_op.add_column(sa.Column(name, sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("removed_at", UtcDateTime(timezone=True), nullable=True))
        batch_op.create_index("schedules_operation", ["last_operation_id"], unique=False)
    op.create_table(
        "clusters",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("manager", sa.String(length=255), nullable=False),
        sa.Column("active_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("given_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "backups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("schedule_id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("base_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("begun_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("completed_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("expired_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("said_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("backups_cluster", "backups", ["cluster_id"], unique=False)
    op.create_index("backups_said", "backups", ["said_at"], unique=False)
    op.create_index("backups_state", "backups", ["state", "begun_at"], unique=False)


def downgrade() -> None:
    """Revert."""
    op.drop_table("backups")
    op.drop_table("clusters")
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.drop_index("schedules_operation")
        for name in ("removed_at", *_NUMBERS, *_KEEPING, *(name for name, _ in _TEXTS)):
            batch_op.drop_column(name)
