"""MySQL and MariaDB."""

from services.datastore_agentless.datastores.mysql.manager import MySQLManager

__all__ = ["MySQLManager"]
