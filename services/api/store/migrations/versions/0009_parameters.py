"""parameters of running clusters"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0009"
down_revision = "0008"
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
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", "version"),
    )
    op.create_index("parameter_versions_operation", "parameter_versions", ["operation_id"], unique=False)
    op.create_table(
        "node_parameters",
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("live", sa.JSON(), nullable=False),
        sa.Column("states", sa.JSON(), nullable=False),
        sa.Column("seen_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("instance_id"),
    )
    op.create_index("node_parameters_cluster", "node_parameters", ["cluster_id"], unique=False)


def downgrade() -> None:
    """Revert."""
    op.drop_index("node_parameters_cluster", table_name="node_parameters")
    op.drop_table("node_parameters")
    op.drop_index("parameter_versions_operation", table_name="parameter_versions")
    op.drop_table("parameter_versions")
    op.drop_table("definitions")
