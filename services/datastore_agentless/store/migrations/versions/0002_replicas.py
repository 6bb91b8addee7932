"""who takes writes, how they are acknowledged, and what replicas log in with"""

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
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("replication_password", shared.db.types.Sealed(), nullable=True))
        batch_op.add_column(sa.Column("mode", sa.String(length=16), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("primary_id", sa.String(length=64), nullable=False, server_default=""))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        for name in ("primary_id", "mode", "replication_password"):
            batch_op.drop_column(name)
