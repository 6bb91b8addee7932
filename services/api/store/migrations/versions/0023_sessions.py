"""sessions"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import Sealed, UtcDateTime

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.Column("keystone_token", Sealed(), nullable=True),
        sa.Column("once", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_index("sessions_token", "sessions", ["token_id", "created_at"], unique=False)
    op.create_index("sessions_age", "sessions", ["expires_at"], unique=False)


def downgrade() -> None:
    """Revert."""
    op.drop_table("sessions")
