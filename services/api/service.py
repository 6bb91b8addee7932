"""The API service: HTTP for users, and an ear on the bus for what became of their wishes."""

from __future__ import annotations

import logging

from services.api import dependencies
from services.api.actions import outside, parked, reminding, schedules
from services.api.actions.hearing import hear
from shared.bus import Relay, Ticker, Web, on, on_parked
from shared.bus.parking import ParkedMessage
from shared.contracts import archives, backups, exports, external, imports, provisioner, restores, scheduler
from shared.contracts import datastore_agentless as databases
from shared.contracts.base import Event
from shared.contracts.operations import OperationBegun, OperationEnded, OperationProgressed

TIDY_SECONDS, REMIND_SECONDS, LOOK_SECONDS, COUNT_SECONDS = 600.0, 5.0, 15.0, 20.0
log = logging.getLogger(__name__)


def remind() -> None:
    """Have everybody say again what was said of operations that are open and silent, and say again what nobody has answered."""
    schedules.say_again(dependencies.database())
    for operation_id in reminding.remind(dependencies.database()):
        log.info("nobody has spoken of operation %s for a while; asking for what was said", operation_id)


def look() -> None:
    """See how the whole of DTrove is, for readiness and metrics."""
    dependencies.observer().look()


def count_secrets() -> None:
    """See by which keys secrets are sealed."""
    dependencies.state().count_secrets()


class ApiService:
    """Entrypoints; the work is in actions and resources."""

    name = "api"

    relay = Relay(dependencies.relay)
    web = Web(dependencies.app, dependencies.door)
    tidying = Ticker(dependencies.forget_old, TIDY_SECONDS)
    reminder = Ticker(remind, REMIND_SECONDS)
    watching = Ticker(look, LOOK_SECONDS)
    counting = Ticker(count_secrets, COUNT_SECONDS)

    @on(OperationProgressed, "provisioner")
    @on(OperationProgressed, "datastore_agentless")
    @on(OperationBegun)
    @on(OperationEnded)
    @on(provisioner.InstanceActive)
    @on(provisioner.InstanceFailed)
    @on(provisioner.InstanceDeleted)
    @on(provisioner.InstanceFenced)
    @on(provisioner.InstancePowered)
    @on(provisioner.InstancePowerFailed)
    @on(provisioner.FlavorsListed)
    @on(databases.NodeReady)
    @on(databases.NodeIdentityChanged)
    @on(databases.ClusterActive)
    @on(databases.ClusterFailed)
    @on(databases.ClusterDeleted)
    @on(databases.ClusterResized)
    @on(databases.ClusterStopped)
    @on(databases.ClusterStarted)
    @on(databases.ClusterRestarted)
    @on(databases.PrimaryChanged)
    @on(databases.NodesFailed)
    @on(databases.NodeReleased)
    @on(databases.NodesRemoved)
    @on(databases.PerformBegun)
    @on(databases.PerformCompleted)
    @on(databases.PerformFailed)
    @on(backups.BackupStarted)
    @on(backups.BackupCompleted)
    @on(backups.BackupFailed)
    @on(backups.BackupDeleted)
    @on(backups.BackupDeleteFailed)
    @on(backups.BackupVerified)
    @on(backups.BackupVerificationFailed)
    @on(exports.ExportStarted)
    @on(exports.ExportCompleted)
    @on(exports.ExportFailed)
    @on(exports.ExportDeleted)
    @on(exports.ExportDeleteFailed)
    @on(imports.ImportStarted)
    @on(imports.ImportCompleted)
    @on(imports.ImportFailed)
    @on(restores.ClusterRestored)
    @on(restores.ClusterRestoreUndone)
    @on(restores.ClusterRestoreConfirmed)
    @on(archives.ArchiveSeen)
    @on(archives.ArchiveBroken)
    @on(databases.LogsRead)
    @on(databases.AccessGranted)
    @on(databases.AccessRevoked)
    @on(databases.AccessFailed)
    @on(databases.HealthSeen)
    @on(databases.AccountsSeen)
    @on(databases.ClusterDegraded)
    @on(databases.ClusterRecovered)
    @on(databases.DatastoreRegistered)
    @on(databases.ParametersDefined)
    @on(databases.ParametersSeen)
    @on(databases.TranscriptRecorded)
    @on(scheduler.BackupDue)
    @on(scheduler.BackupExpired)
    @on(scheduler.VerificationDue)
    @on(scheduler.ScheduleSet)
    @on(scheduler.ScheduleRemoved)
    def heard(self, event: Event) -> None:
        """Take what the other services say into the read model."""
        hear(dependencies.database(), event, dependencies.changes())

    @on_parked
    def park(self, message: ParkedMessage) -> None:
        """Keep what no service could take in."""
        parked.keep(
            dependencies.database(), message_id=message.id, service=message.service, queue=message.queue,
            topic=message.topic, reason=message.reason, body=message.body, headers=message.headers,
        )  # fmt: skip

    @on(external.ExternalClusterRequested)
    def external_cluster_requested(self, event: external.ExternalClusterRequested) -> None:
        """Another system's wish, checked like one over HTTP."""
        outside.request_cluster(dependencies.database(), event, dependencies.settings().max_cluster_size)

    @on(external.ExternalClusterDeleteRequested)
    def external_cluster_delete_requested(self, event: external.ExternalClusterDeleteRequested) -> None:
        """Another system's wish, checked like one over HTTP."""
        outside.delete_cluster(dependencies.database(), event)

    @on(external.ExternalBackupDue)
    def external_backup_due(self, event: external.ExternalBackupDue) -> None:
        """Another system's wish, checked like one over HTTP."""
        outside.request_backup(dependencies.database(), event)
