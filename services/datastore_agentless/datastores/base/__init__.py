"""The base of every datastore manager, and the shell that all share."""

from services.datastore_agentless.datastores.base import scripts
from services.datastore_agentless.datastores.base.manager import BaseManager

__all__ = ["BaseManager", "scripts"]
