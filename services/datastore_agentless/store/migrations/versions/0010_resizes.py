"""volumes that grow, and servers that become others"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "resizes",
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("volume_gb", sa.Integer(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("flavor", sa.JSON(), nullable=True),
        sa.Column("servers", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id"),
    )
    op.create_index("resizes_cluster", "resizes", ["cluster_id"], unique=False)
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.add_column(sa.Column("flavor", sa.String(length=255)))
        batch_op.add_column(sa.Column("ram_mb", sa.Integer()))
        batch_op.add_column(sa.Column("vcpus", sa.Integer()))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.drop_column("vcpus")
        batch_op.drop_column("ram_mb")
        batch_op.drop_column("flavor")
    op.drop_index("resizes_cluster", table_name="resizes")
    op.drop_table("resizes")
