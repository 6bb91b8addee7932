"""how the nodes of a cluster work together, and which of them takes writes"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("topology", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("primary_id", sa.String(length=64), nullable=False, server_default=""))
    with op.batch_alter_table("datastores", schema=None) as batch_op:
        batch_op.add_column(sa.Column("modes", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("datastores", schema=None) as batch_op:
        batch_op.drop_column("modes")
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_column("primary_id")
        batch_op.drop_column("topology")
