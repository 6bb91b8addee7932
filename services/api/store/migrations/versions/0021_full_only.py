"""datastores that have no incremental backups, and why"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("datastores", schema=None) as batch_op:
        batch_op.add_column(sa.Column("full_only", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("datastores", schema=None) as batch_op:
        batch_op.drop_column("full_only")
