"""what asked with an Idempotency-Key is sealed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import Sealed

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.add_column(sa.Column("request", Sealed()))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("idempotency", schema=None) as batch_op:
        batch_op.drop_column("request")
