"""backups, and the keys that they are encrypted to"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import Sealed, UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "backups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("cluster_name", sa.String(length=255), nullable=False),
        sa.Column("schedule_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("base_id", sa.String(length=64), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("token", Sealed(), nullable=True),
        sa.Column("beginnings", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("datastore", sa.JSON(), nullable=False),
        sa.Column("manifest", sa.JSON(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("backups_cluster", "backups", ["cluster_id"], unique=False)
    op.create_index("backups_operation", "backups", ["operation_id"], unique=False)
    op.create_table(
        "backup_keys",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("private", Sealed(), nullable=False),
        sa.PrimaryKeyConstraint("project_id"),
    )
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("restore_id", sa.String(length=64), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("restored_server", sa.String(length=255), nullable=False, server_default=""))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_column("restored_server")
        batch_op.drop_column("restore_id")
    op.drop_table("backup_keys")
    op.drop_index("backups_operation", table_name="backups")
    op.drop_index("backups_cluster", table_name="backups")
    op.drop_table("backups")
