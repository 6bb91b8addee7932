"""Redis."""

from services.datastore_agentless.datastores.redis.manager import RedisManager

__all__ = ["RedisManager"]
