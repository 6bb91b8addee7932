"""how a cluster came to another primary"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "takeovers",
        sa.Column("operation_id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("former_id", sa.String(length=64), nullable=False),
        sa.Column("wanted_id", sa.String(length=64), nullable=False),
        sa.Column("chosen_id", sa.String(length=64), nullable=False),
        sa.Column("accept_loss", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("operation_id"),
    )
    op.create_index("takeovers_cluster", "takeovers", ["cluster_id", "state"], unique=False)
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("failover", sa.String(length=16), nullable=False, server_default="automatic"))
        batch_op.add_column(sa.Column("failover_at", UtcDateTime(timezone=True)))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_column("failover_at")
        batch_op.drop_column("failover")
    op.drop_index("takeovers_cluster", table_name="takeovers")
    op.drop_table("takeovers")
