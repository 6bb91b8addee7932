"""what the engines of nodes count, and who reads which log"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("health", schema=None) as batch_op:
        batch_op.add_column(sa.Column("numbers", sa.JSON()))
    op.create_table(
        "readings",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "reading_pieces",
        sa.Column("reading_id", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("place", sa.String(length=64), nullable=False),
        sa.Column("last", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.JSON()),
        sa.PrimaryKeyConstraint("reading_id", "sequence"),
    )


def downgrade() -> None:
    """Revert."""
    for name in ("reading_pieces", "readings"):
        op.drop_table(name)
    with op.batch_alter_table("health", schema=None) as batch_op:
        batch_op.drop_column("numbers")
