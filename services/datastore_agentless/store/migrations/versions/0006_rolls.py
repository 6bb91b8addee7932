"""nodes of a cluster one after the other"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "rolls",
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("wanted", sa.String(length=16), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("only_id", sa.String(length=64), nullable=False),
        sa.Column("in_hand", sa.String(length=64), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("done_ids", sa.JSON(), nullable=False),
        sa.Column("lived", sa.JSON(), nullable=False),
        sa.Column("lives", sa.JSON(), nullable=False),
        sa.Column("ending", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("operation_id"),
    )
    op.create_index("rolls_cluster", "rolls", ["cluster_id", "state"], unique=False)


def downgrade() -> None:
    """Revert."""
    op.drop_index("rolls_cluster", table_name="rolls")
    op.drop_table("rolls")
