"""addresses of clusters' own"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("addr", sa.String(64), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("addr_leads_to", sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_column("addr_leads_to")
        batch_op.drop_column("addr")
