"""accounts that projects have lent, and which of them instances are in"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import Sealed, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "delegations",
        sa.Column("project_id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("credential_id", sa.String(255), nullable=False),
        sa.Column("secret", Sealed(), nullable=False),
        sa.Column("cloud_project", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
    )
    for table in ("instances", "findings"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column("account", sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    """Revert."""
    for table in ("findings", "instances"):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("account")
    op.drop_table("delegations")
