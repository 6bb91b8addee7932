"""A look into a stack's secrets, as one of its own workers has it: for what a stale worker would do next."""

from __future__ import annotations

from services.datastore_agentless.hosts.base import Target
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.store import clusters, tables
from services.datastore_agentless.workflows.on_host import Hosts
from shared.db import Database, Sealed
from shared.secrets import KeyringFile
from tests.component.hosts.wishes import manager_for
from tests.faults.stack import Stack


def databases_of(stack: Stack) -> Database:
    """datastore_agentless's own database, with the keyring that opens it."""
    Sealed.keyring = KeyringFile(stack.home / "keyring")
    return Database(stack.urls["datastore_agentless"], "datastore_agentless", tables.metadata)


def target_of(database: Database, instance: str) -> Target:
    """How DTrove reaches an instance."""
    with database.read() as connection:
        return Hosts(database, SshPool(), manager_for).target(clusters.instance(connection, instance))
