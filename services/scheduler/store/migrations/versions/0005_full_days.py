"""after how many days an incremental schedule makes a full backup"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.add_column(sa.Column("full_days", sa.Integer(), server_default="7", nullable=False))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.drop_column("full_days")
