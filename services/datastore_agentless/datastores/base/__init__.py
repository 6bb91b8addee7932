"""The base of every datastore manager."""

from services.datastore_agentless.datastores.base.manager import BaseManager

__all__ = ["BaseManager"]
