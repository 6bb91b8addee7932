"""the moment that a cluster was restored to, and the backups that a log goes on from"""

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
    with op.batch_alter_table("clusters") as batch_op:
        batch_op.add_column(sa.Column("restored_to", UtcDateTime(), nullable=True))
    with op.batch_alter_table("archives") as batch_op:
        batch_op.add_column(sa.Column("chains", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("stale", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("archives") as batch_op:
        batch_op.drop_column("stale")
        batch_op.drop_column("chains")
    with op.batch_alter_table("clusters") as batch_op:
        batch_op.drop_column("restored_to")
