"""what was seen of a backup that was restored for a proof, and the clusters that are for nothing else"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_COLUMNS = ("proof", "proof_failure", "verified_at", "unproven_at")


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("proves", sa.String(length=64)))
    with op.batch_alter_table("backups", schema=None) as batch_op:
        for name in _COLUMNS:
            kind = UtcDateTime(timezone=True) if name.endswith("_at") else sa.JSON(none_as_null=True)
            batch_op.add_column(sa.Column(name, kind))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("backups", schema=None) as batch_op:
        for name in _COLUMNS:
            batch_op.drop_column(name)
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_column("proves")
