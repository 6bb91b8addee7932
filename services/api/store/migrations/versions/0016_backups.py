"""backups, and how many and how large a project's may be"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_IDS = ("project_id", "cluster_id", "operation_id", "deletion_id", "schedule_id", "base_id")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "backups",
        sa.Column("id", sa.String(length=64), nullable=False),
        *(sa.Column(name, sa.String(length=64), nullable=False) for name in _IDS),
        sa.Column("cluster_name", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("datastore", sa.JSON(), nullable=False),
        sa.Column("flavor", sa.JSON(), nullable=False),
        sa.Column("volume_gb", sa.Integer()),
        sa.Column("facts", sa.JSON(none_as_null=True)),
        sa.Column("counted_bytes", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.JSON(none_as_null=True)),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("said_at", UtcDateTime(timezone=True)),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("started_at", UtcDateTime(timezone=True)),
        sa.Column("finished_at", UtcDateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("backups_page", "backups", ["project_id", "created_at", "id"], unique=False)
    op.create_index("backups_page_of_cluster", "backups", ["cluster_id", "created_at", "id"], unique=False)
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("restored_from", sa.String(length=64)))
        batch_op.add_column(sa.Column("final_backup", sa.String(length=64)))
    with op.batch_alter_table("quotas", schema=None) as batch_op:
        batch_op.add_column(sa.Column("backups", sa.Integer()))
        batch_op.add_column(sa.Column("backup_gb", sa.Integer()))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("quotas", schema=None) as batch_op:
        batch_op.drop_column("backup_gb")
        batch_op.drop_column("backups")
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_column("final_backup")
        batch_op.drop_column("restored_from")
    op.drop_index("backups_page_of_cluster", table_name="backups")
    op.drop_index("backups_page", table_name="backups")
    op.drop_table("backups")
