"""The composition root of datastore_agentless: the only module here that reads configuration."""

from __future__ import annotations

from nameko import config

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.hosts.base import Target
from services.datastore_agentless.hosts.simulated import SimulatedHosts
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.settings import Settings
from services.datastore_agentless.store.tables import metadata
from services.datastore_agentless.workflows.backup_node import BackupNode
from services.datastore_agentless.workflows.join_node import JoinNode
from services.datastore_agentless.workflows.leave_node import LeaveNode
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.open_access import OpenAccess
from services.datastore_agentless.workflows.perform import Perform
from services.datastore_agentless.workflows.prepare_node import PrepareNode
from shared.config import read
from shared.db import Database, Sealed, Subscribe, migrate
from shared.db.outbox import Outbox
from shared.engine import StepEngine
from shared.once import once
from shared.secrets import KeyringFile, keyring_path
from shared.state import StateOf


@once
def settings() -> Settings:
    """This service's settings. Raises ConfigInvalid."""
    return read(Settings, config)


@once
def keyring() -> KeyringFile:
    """The keys that seal secrets at rest."""
    return KeyringFile.opened(keyring_path(settings().keyring, settings().home))


@once
def database() -> Database:
    """This service's database, brought up to date."""
    Sealed.keyring = keyring()
    migrate.upgrade("datastore_agentless", settings().database_url, migrate.FOR_EVER)
    return Database(settings().database_url, "datastore_agentless", metadata)


@once
def state() -> StateOf:
    """What this service knows of itself."""
    return StateOf(database(), settings().home, keyring())


@once
def hosts() -> Hosts:
    """The way to hosts over SSH."""
    chosen = settings()
    simulated = SimulatedHosts(latency=chosen.simulated_latency)
    return Hosts(database(), SshPool(), manager_for, chosen.prefix, jump=jump(), simulated=simulated)


def jump() -> Target | None:
    """The host to go through to every other, where one is configured."""
    chosen = settings()
    if chosen.jump is None:
        return None
    via = chosen.jump
    return Target(name="the jump host", addr=via.host, port=via.port, user=via.user,
                  private_key=chosen.jump_private_key, known_host=chosen.jump_host_key)  # fmt: skip


def manager_for(datastore: Datastore) -> BaseManager:
    """The manager of a datastore, built in or a stranger's."""
    return load_manager(datastore.manager_class, datastore, settings().managers)


def steps() -> tuple[StepEngine, int, Subscribe]:
    """The engine with this service's workflows."""
    base = database()
    access, leaving = OpenAccess(hosts()), LeaveNode(hosts())
    flows = (
        PrepareNode(hosts()).workflow(), JoinNode(hosts()).workflow(), leaving.leave(), leaving.dismiss(),
        Perform(hosts()).workflow(), BackupNode(hosts()).workflow(), access.grant(), access.revoke(),
    )  # fmt: skip
    return StepEngine(base, {flow.name: flow for flow in flows}), settings().workers, base.on_tasks


def relay() -> tuple[Outbox, Subscribe]:
    """The outbox, and how to be woken when something is put in."""
    return Outbox(database()), database().on_outbox
