"""databases and users"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import Sealed

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "account_changes",
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("changes", Sealed(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id"),
    )
    op.create_index("account_changes_cluster", "account_changes", ["cluster_id"], unique=False)
    op.create_table(
        "accounts",
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("listed", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id"),
    )


def downgrade() -> None:
    """Revert."""
    op.drop_table("accounts")
    op.drop_index("account_changes_cluster", table_name="account_changes")
    op.drop_table("account_changes")
