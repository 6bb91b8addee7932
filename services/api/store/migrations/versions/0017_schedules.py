"""backup schedules"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "schedules",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("next_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("last", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("wished_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("said_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("schedules_cluster", "schedules", ["cluster_id", "created_at", "id"], unique=False)
    unanswered = sa.text("answered < version")
    op.create_index(
        "schedules_unanswered", "schedules", ["said_at"], unique=False, sqlite_where=unanswered,
        postgresql_where=unanswered,
    )  # fmt: skip


def downgrade() -> None:
    """Revert."""
    op.drop_table("schedules")
