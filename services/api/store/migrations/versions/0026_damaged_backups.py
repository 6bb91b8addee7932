"""backups that were found damaged"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("backups", schema=None) as batch_op:
        batch_op.add_column(sa.Column("damaged_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("backups", schema=None) as batch_op:
        batch_op.drop_column("damaged_at")
