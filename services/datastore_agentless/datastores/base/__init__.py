"""The base of every datastore manager, and the shell that all share."""

from services.datastore_agentless.datastores.base import scripts
from services.datastore_agentless.datastores.base.manager import BaseManager
from services.datastore_agentless.datastores.base.topology import Topology

__all__ = ["BaseManager", "Topology", "scripts"]
