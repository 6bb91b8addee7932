"""databases and users"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "accounts",
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("listed", sa.JSON(), nullable=False),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("root_since", UtcDateTime(timezone=True)),
        sa.PrimaryKeyConstraint("cluster_id"),
    )
    with op.batch_alter_table("datastores", schema=None) as batch_op:
        batch_op.add_column(sa.Column("dialect", sa.String(length=16), nullable=False, server_default=""))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("datastores", schema=None) as batch_op:
        batch_op.drop_column("dialect")
    op.drop_table("accounts")
