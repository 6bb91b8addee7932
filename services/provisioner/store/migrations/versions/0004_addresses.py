"""addresses of clusters' own"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "addresses",
        sa.Column("cluster_id", sa.String(64), primary_key=True),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("operation_id", sa.String(64), nullable=False),
        sa.Column("addr", sa.String(64), nullable=False),
        sa.Column("wanted_id", sa.String(64), nullable=False),
        sa.Column("wanted_at", UtcDateTime(), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Revert."""
    op.drop_table("addresses")
