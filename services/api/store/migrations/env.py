"""Alembic's entry for the API's history."""

from services.api.store.tables import metadata
from shared.db import migrate

migrate.run(metadata)
