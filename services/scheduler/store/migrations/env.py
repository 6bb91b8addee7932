"""Alembic's entry for the scheduler's history."""

from services.scheduler.store.tables import metadata
from shared.db import migrate

migrate.run(metadata)
