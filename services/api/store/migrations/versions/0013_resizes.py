"""how large volumes are about to be, and of which flavor servers"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.add_column(sa.Column("volume_gb_wanted", sa.Integer()))
        batch_op.add_column(sa.Column("flavor_wanted", sa.String(length=255)))
    with op.batch_alter_table("flavors", schema=None) as batch_op:
        batch_op.add_column(sa.Column("supports_resize", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Revert."""
    with op.batch_alter_table("flavors", schema=None) as batch_op:
        batch_op.drop_column("supports_resize")
    with op.batch_alter_table("clusters", schema=None) as batch_op:
        batch_op.drop_column("flavor_wanted")
        batch_op.drop_column("volume_gb_wanted")
