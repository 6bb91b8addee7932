"""what a cluster had before a restore in place"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("clusters") as batch_op:
        batch_op.add_column(sa.Column("restored_in_place", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("clusters") as batch_op:
        batch_op.drop_column("restored_in_place")
