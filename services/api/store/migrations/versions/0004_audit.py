"""who it was, from where, in which request, and how it ended"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TEXTS = {"user": 255, "address": 64, "request_id": 64}


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("audit", schema=None) as batch_op:
        for name, length in TEXTS.items():
            batch_op.add_column(sa.Column(name, sa.String(length=length), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("status", sa.Integer(), nullable=False, server_default="200"))
        batch_op.create_index("audit_project", ["project_id", "id"], unique=False)


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("audit_project")
        for name in ("status", *TEXTS):
            batch_op.drop_column(name)
