"""what was announced last, and whether somebody answered"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import shared.db.types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.add_column(sa.Column("last_at", shared.db.types.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("last_operation_id", sa.String(length=64), server_default="", nullable=False))
        batch_op.add_column(sa.Column("said_at", shared.db.types.UtcDateTime(timezone=True), nullable=True))
        batch_op.create_index("schedules_said", ["said_at"], unique=False)


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.drop_index("schedules_said")
        for name in ("said_at", "last_operation_id", "last_at"):
            batch_op.drop_column(name)
