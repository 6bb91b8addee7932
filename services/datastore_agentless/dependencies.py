"""The composition root of datastore_agentless: the only module here that reads configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from nameko import config

from services.datastore_agentless.actions.backups import renew_backup
from services.datastore_agentless.actions.repairing import consider
from services.datastore_agentless.archiving import Archiver
from services.datastore_agentless.backup_stores.naming import S3Key
from services.datastore_agentless.backup_stores.reaching import Reaching
from services.datastore_agentless.backup_stores.stores import Stores
from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.backup import Backup
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.health import Limits
from services.datastore_agentless.hosts.base import Target
from services.datastore_agentless.hosts.simulated import SimulatedHosts
from services.datastore_agentless.hosts.ssh import PoolSettings, SshPool
from services.datastore_agentless.settings import Settings
from services.datastore_agentless.store import catalogue
from services.datastore_agentless.store.tables import metadata
from services.datastore_agentless.watching import Looker, Pace, Watch
from services.datastore_agentless.workflows.archive_log import STALE_AFTER, ArchiveLog
from services.datastore_agentless.workflows.backup_node import BackupNode
from services.datastore_agentless.workflows.change_accounts import ChangeAccounts
from services.datastore_agentless.workflows.change_parameters import ChangeParameters
from services.datastore_agentless.workflows.delete_backup import DeleteBackup
from services.datastore_agentless.workflows.delete_export import DeleteExport
from services.datastore_agentless.workflows.fail_over import FailOver
from services.datastore_agentless.workflows.grow_cluster import GrowCluster
from services.datastore_agentless.workflows.hand_over import HandOver
from services.datastore_agentless.workflows.join_node import JoinNode
from services.datastore_agentless.workflows.keeping import Keeping
from services.datastore_agentless.workflows.leave_node import LeaveNode
from services.datastore_agentless.workflows.load_import import LoadImport
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.open_access import OpenAccess
from services.datastore_agentless.workflows.perform import Perform
from services.datastore_agentless.workflows.prepare_node import PrepareNode
from services.datastore_agentless.workflows.prove_backup import ProveBackup
from services.datastore_agentless.workflows.read_log import ReadLog
from services.datastore_agentless.workflows.resize_node import ResizeNode
from services.datastore_agentless.workflows.restore_in_place import RestoreInPlace
from services.datastore_agentless.workflows.roll import RollNodes
from services.datastore_agentless.workflows.send_backup import SendBackup
from services.datastore_agentless.workflows.send_export import SendExport
from services.datastore_agentless.workflows.start_node import StartNode
from services.datastore_agentless.workflows.take_over import TakeOver
from services.datastore_agentless.workflows.undo_restore import UndoRestore
from shared.bus import RpcCaller
from shared.config import read
from shared.db import Database, Sealed, Subscribe, Tx, migrate
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


@once
def stores() -> Stores:
    """Where backups are kept."""
    chosen = settings()
    return Stores(
        chosen.backup_stores, chosen.home, S3Key(chosen.s3_access_key_id, chosen.s3_secret_access_key), chosen
    )


@once
def reaching() -> Reaching:
    """Whether they answer."""
    return Reaching(stores())


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
    access, joining, leaving = OpenAccess(hosts()), JoinNode(hosts()), LeaveNode(hosts())
    keeping = Keeping(hosts(), stores())
    undoing = UndoRestore(keeping)
    flows = (
        PrepareNode(hosts(), stores()).workflow(), joining.workflow(), joining.again(), leaving.leave(), leaving.dismiss(),
        HandOver(hosts()).workflow(), FailOver(hosts()).workflow(), TakeOver(hosts()).workflow(),
        StartNode(hosts()).workflow(), *RollNodes(hosts()).workflows(), ChangeParameters(hosts()).workflow(),
        ChangeAccounts(hosts()).workflow(), GrowCluster(hosts()).workflow(), ResizeNode(hosts()).workflow(),
        Perform(hosts()).workflow(), BackupNode(hosts()).workflow(), access.grant(), access.revoke(),
        ReadLog(hosts()).workflow(), SendBackup(keeping).workflow(), DeleteBackup(keeping).workflow(),
        ProveBackup(keeping).workflow(), SendExport(keeping).workflow(), DeleteExport(keeping).workflow(),
        LoadImport(keeping).workflow(), RestoreInPlace(keeping).workflow(), undoing.undo(), undoing.drop(),
    )  # fmt: skip
    return StepEngine(base, {flow.name: flow for flow in flows}), settings().workers, base.on_tasks


def watch() -> Watch | None:
    """Who watches the databases; None: nobody is to.

    It has connections of its own: a dead host keeps no work waiting that way, and work on a host no look. They stay open
    from one look to the next, and look up less often meanwhile, for there is one to each host.
    """
    chosen, usual = settings(), PoolSettings()
    if not chosen.watch_seconds:
        return None
    pool = SshPool(PoolSettings(connect_timeout=3.0, channels=2, poll=2.0, idle_ttl=usual.idle_ttl + 2.0 * chosen.watch_seconds,
                                breaker_cap=5.0))  # fmt: skip
    looker = Looker(replace(hosts(), pool=pool), manager_for, _server_status, Limits(lag_seconds=chosen.lag_seconds))
    return Watch(database(), looker.look, Pace(seconds=chosen.watch_seconds), consider)


def archiver() -> Archiver | None:
    """Who keeps the databases' logs; None: nobody is to. As the watch, it has connections of its own."""
    chosen = settings()
    if not chosen.archive_seconds:
        return None
    keeping = Keeping(replace(hosts(), pool=SshPool()), stores())
    turns = ArchiveLog(keeping, _renew, STALE_AFTER + timedelta(seconds=2 * chosen.archive_seconds))
    return Archiver(database(), turns.turn, _archived, chosen.archive_seconds)


def _renew(tx: Tx, former: Sequence[Backup]) -> None:
    """Have a full backup made that the log of a cluster can go on from."""
    renew_backup(tx, former, manager_for, stores())


def _archived() -> list[str]:
    """Datastores whose logs can be kept."""
    with database().read() as connection:
        return [one.id for one in catalogue.datastores(connection) if manager_for(one).archiving is not None]


def _server_status(instance_id: str) -> tuple[str, str]:
    """The provider's word for the state of a server, and its message. Raises DtroveError where it does not say."""
    said = RpcCaller("provisioner", timeout=5).call("server_status", instance_id)
    return str(said["status"]), str(said["message"])


def relay() -> tuple[Outbox, Subscribe]:
    """The outbox, and how to be woken when something is put in."""
    return Outbox(database()), database().on_outbox
