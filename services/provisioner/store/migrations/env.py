"""Alembic's entry for the provisioner's history."""

from services.provisioner.store.tables import metadata
from shared.db import migrate

migrate.run(metadata)
