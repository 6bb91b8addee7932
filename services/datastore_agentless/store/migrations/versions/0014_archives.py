"""archives of clusters' logs, and the runs that lie in stores"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "archives",
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("begun", sa.JSON(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=True),
        sa.Column("broken_at", UtcDateTime(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=False),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("cluster_id"),
    )
    op.create_index("archives_due", "archives", ["due_at"], unique=False)
    op.create_table(
        "log_runs",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("line", sa.String(length=64), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("log_runs_cluster", "log_runs", ["cluster_id", "at"], unique=False)


def downgrade() -> None:
    """Revert."""
    op.drop_index("log_runs_cluster", table_name="log_runs")
    op.drop_table("log_runs")
    op.drop_index("archives_due", table_name="archives")
    op.drop_table("archives")
