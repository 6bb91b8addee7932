"""after how many days a schedule's newest backup is proved, and when that was last said and passed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIMES = ("proof_said_at", "proven_at")


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        batch_op.add_column(sa.Column("verify_days", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("proof_backup_id", sa.String(length=64), server_default="", nullable=False))
        for name in _TIMES:
            batch_op.add_column(sa.Column(name, UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("schedules", schema=None) as batch_op:
        for name in (*_TIMES, "proof_backup_id", "verify_days"):
            batch_op.drop_column(name)
