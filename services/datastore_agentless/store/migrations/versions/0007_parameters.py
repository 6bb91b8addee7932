"""parameters of running clusters"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "definitions",
        sa.Column("datastore_id", sa.String(length=64), nullable=False),
        sa.Column("engine", sa.String(length=64), nullable=False),
        sa.Column("known", sa.JSON(), nullable=False),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("datastore_id"),
    )
    op.create_table(
        "parameter_versions",
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("restart_now", sa.Boolean(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("in_hand", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("operation_id"),
    )
    op.create_index("parameter_versions_cluster", "parameter_versions", ["cluster_id", "version"], unique=False)
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("parameters", sa.JSON()))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_column("parameters")
    op.drop_index("parameter_versions_cluster", table_name="parameter_versions")
    op.drop_table("parameter_versions")
    op.drop_table("definitions")
