"""nodes of a page by their index alone"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index("instances_page", "instances", ["cluster_id", "name", "id", "status", "addr"])
    op.drop_index("instances_cluster", table_name="instances")


def downgrade() -> None:
    """Revert."""
    op.create_index("instances_cluster", "instances", ["cluster_id"])
    op.drop_index("instances_page", table_name="instances")
