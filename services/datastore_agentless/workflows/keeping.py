"""What all work on backups and exports needs: the catalogue, the store that one lies in, and the ways there and back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from services.datastore_agentless.backup_stores.base import BackupStore, Fetching, Sending
from services.datastore_agentless.backup_stores.stores import Stores
from services.datastore_agentless.backup_stores.transfer import TRANSFER_SECONDS
from services.datastore_agentless.datastores.base.dumping import Dumping
from services.datastore_agentless.domain.backup import Backup
from services.datastore_agentless.domain.export import Export
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.hosts.base import HostUnreachable, Run, Script
from services.datastore_agentless.hosts.jobs import JobFolder
from services.datastore_agentless.store import backups, clusters
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.sources import Sources
from shared.db import Tx
from shared.errors import Failure, NotFound
from shared.workflow import StepContext

BACKUP, SEND, DELETE = "backup_node", "send_backup", "delete_backup"
EXPORT, DELETE_EXPORT, IMPORT = "send_export", "delete_export", "load_import"
RESTORE, UNDO, DROP = "restore_in_place", "undo_restore", "drop_aside"
# A job that begins some hours late, for a store that was away, still has all of its time.
STEP_SECONDS = TRANSFER_SECONDS + 6 * 3600.0
CHECK_SECONDS = 10.0
Check = Callable[[], object]


@dataclass(frozen=True)
class Keeping:
    """Where backups go, and come from."""

    hosts: Hosts
    stores: Stores

    @property
    def sources(self) -> Sources:
        """From which nodes data are taken."""
        return Sources(self.hosts.database)

    def backup(self, backup_id: str) -> Backup:
        """A backup as the catalogue has it. Raises NotFound."""
        with self.hosts.database.read() as connection:
            return backups.get(connection, backup_id)

    def store(self, backup: Backup) -> BackupStore:
        """The store that a backup lies in. Raises Failure where nobody knows that one any more."""
        return self.stores.get(backup.store)

    def carried(self, node: Instance, backup: Backup, way: Sending | Fetching) -> AbstractContextManager[Check]:
        """Within this block parts come and go between a node and the store; what it gives raises where they do not any more."""
        return self.store(backup).carried(self.hosts.target(node), backup.key, way)

    def end_job(self, context: StepContext, kept: Backup | Export, what: str) -> None:
        """End what sends it. A node that does not answer keeps nobody from giving it up: nobody takes its parts."""
        with self.hosts.database.read() as connection:
            node = clusters.find_instance(connection, kept.instance_id)
        if node is not None and node.status == Status.READY:
            with suppress(HostUnreachable, Failure):
                self.hosts.run(context, node, _stopped(JobFolder(f"{context.task.id}-{kept.job}"), what))

    def watchful(self, context: StepContext, *checks: Check) -> StepContext:
        """The same for a long step, which makes these checks as well, from time to time: to wait for what is gone would take days."""
        clock = self.hosts.database.clock
        checked = clock.monotonic()

        def check() -> None:
            nonlocal checked
            context.check()
            if clock.monotonic() - checked >= CHECK_SECONDS:
                checked = clock.monotonic()
                for one in checks:
                    one()

        def report(percent: int | None, message: str, output: str) -> None:
            context.report(message, percent=percent, output=output)

        return StepContext(context.task, report, check)

    def dumping(self, node: Instance) -> Dumping:
        """How the data of a node become a stream, and data again. Raises Failure where nobody knows."""
        manager = self.hosts.manager(node)
        if manager.dumping is None:
            raise Failure(f"{manager.datastore.name} makes no backups that DTrove keeps",
                          what_to_do="use its manager's own `backup`")  # fmt: skip
        return manager.dumping

    def drop(self, backup: Backup) -> None:
        """Keep nothing of a backup, whole or half. Raises Retryable, Failure."""
        if not backup.key:
            return
        store = self.store(backup)
        store.abandon(backup.key, backup.token.reveal())
        store.remove(backup.key)

    def drop_export(self, export: Export) -> None:
        """Keep nothing of an export, whole or half. Raises Retryable, Failure."""
        store = self.stores.get(export.store)
        store.abandon(export.key, export.token.reveal())
        store.remove(export.key)


def lock(tx: Tx, backup_id: str) -> Backup:
    """A backup, whose row is held until the transaction ends. Raises NotFound."""
    found = backups.lock(tx, backup_id)
    if found is None:
        raise NotFound(f"there is no backup {backup_id}")
    return found


def _stopped(job: JobFolder, what: str) -> Script:
    yield Run(job.stop(), title=f"end what sends the {what}", timeout=60)
