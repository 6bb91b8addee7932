"""where a datastore answers"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("datastores", schema=None) as batch_op:
        batch_op.add_column(sa.Column("port", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("datastores", schema=None) as batch_op:
        batch_op.drop_column("port")
