"""PostgreSQL."""

from services.datastore_agentless.datastores.pgsql.manager import PostgresManager

__all__ = ["PostgresManager"]
