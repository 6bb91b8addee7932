"""The next release's migrations, as far as a test can know them: one more column, in the way that ADR 0031 allows."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.db import migrate

LATER = '''"""One more column, which may be empty."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{newest}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("tasks") as table:
        table.add_column(sa.Column("colour", sa.String(16), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("tasks") as table:
        table.drop_column("colour")
'''


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Upgrades a service's database as its next release will do."""
    root = migrate.ROOT

    def upgrade(service: str, url: str) -> None:
        newest = migrate.versions(service).newest
        place = tmp_path / "services" / service / "store"
        place.mkdir(parents=True)
        shutil.copytree(root / "services" / service / "store" / "migrations", place / "migrations")
        (place / "migrations" / "versions" / "9999_later.py").write_text(LATER.format(newest=newest))
        with monkeypatch.context() as patched:
            patched.setattr(migrate, "ROOT", tmp_path)
            migrate.upgrade(service, url)

    return upgrade
