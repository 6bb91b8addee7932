"""parameter groups"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.types import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TEXTS = (("group_id", 64), ("group_name", 255))


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "parameter_groups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("datastore", sa.JSON(), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("changed_at", UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("parameter_groups_name", "parameter_groups", ["project_id", "name"], unique=True)
    op.create_index("parameter_groups_page", "parameter_groups", ["project_id", "created_at", "id"], unique=False)
    with op.batch_alter_table("parameter_versions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("own", sa.JSON(none_as_null=True)))
        batch_op.add_column(sa.Column("shared", sa.JSON(none_as_null=True)))
        for name, length in _TEXTS:
            batch_op.add_column(sa.Column(name, sa.String(length=length), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("group_version", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("parameter_versions_group", "parameter_versions", ["group_id"], unique=False)


def downgrade() -> None:
    """Revert."""
    op.drop_index("parameter_versions_group", table_name="parameter_versions")
    with op.batch_alter_table("parameter_versions", schema=None) as batch_op:
        for name in ("group_version", "group_name", "group_id", "shared", "own"):
            batch_op.drop_column(name)
    op.drop_index("parameter_groups_page", table_name="parameter_groups")
    op.drop_index("parameter_groups_name", table_name="parameter_groups")
    op.drop_table("parameter_groups")
