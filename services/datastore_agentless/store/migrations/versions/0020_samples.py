"""samples"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "samples",
        sa.Column("id", sa.String(length=96), nullable=False),
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("measured", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("samples_of_cluster", "samples", ["cluster_id", "at"], unique=False)
    op.create_index("samples_age", "samples", ["at"], unique=False)


def downgrade() -> None:
    """Revert."""
    op.drop_index("samples_age", table_name="samples")
    op.drop_index("samples_of_cluster", table_name="samples")
    op.drop_table("samples")
