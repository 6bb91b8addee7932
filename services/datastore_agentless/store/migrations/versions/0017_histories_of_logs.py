"""how far an engine's history had come at either end of a run of its log"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("log_runs") as batch_op:
        batch_op.add_column(sa.Column("begins", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("ends", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("log_runs") as batch_op:
        batch_op.drop_column("ends")
        batch_op.drop_column("begins")
