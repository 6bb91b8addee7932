"""Alembic's entry for datastore_agentless's history."""

from services.datastore_agentless.store.tables import metadata
from shared.db import migrate

migrate.run(metadata)
