"""restores in place, and histories of data"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "restores",
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("backup_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("moment", UtcDateTime(), nullable=True),
        sa.Column("taken", sa.JSON(), nullable=False),
        sa.Column("former", sa.String(length=64), nullable=False),
        sa.Column("beginnings", sa.Integer(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("purge_at", UtcDateTime(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("operation_id"),
    )
    op.create_index("restores_cluster", "restores", ["cluster_id", "state"], unique=False)
    for table in ("clusters", "archives", "log_runs"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.add_column(sa.Column("history", sa.String(length=64), nullable=False, server_default=""))


def downgrade() -> None:
    """Revert."""
    for table in ("log_runs", "archives", "clusters"):
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column("history")
    op.drop_index("restores_cluster", table_name="restores")
    op.drop_table("restores")
