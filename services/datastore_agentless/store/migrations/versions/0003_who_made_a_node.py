"""under which operation a node comes, or goes"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.add_column(sa.Column("operation_id", sa.String(length=64), nullable=False, server_default=""))
    # Nodes of clusters that are being made come under what makes the cluster.
    op.execute(
        "UPDATE instances SET operation_id = coalesce("
        "(SELECT clusters.operation_id FROM clusters WHERE clusters.id = instances.cluster_id), '')"
    )


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.drop_column("operation_id")
