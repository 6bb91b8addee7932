"""the moment that a restore goes to, and full backups that DTrove asks for by itself"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("clusters") as batch_op:
        batch_op.add_column(sa.Column("restore_time", UtcDateTime(), nullable=True))
    with op.batch_alter_table("archives") as batch_op:
        batch_op.add_column(sa.Column("renewed_at", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("stale", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("archives") as batch_op:
        batch_op.drop_column("stale")
        batch_op.drop_column("renewed_at")
    with op.batch_alter_table("clusters") as batch_op:
        batch_op.drop_column("restore_time")
