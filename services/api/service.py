"""The API service: HTTP for users, and an ear on the bus for what became of their wishes."""

from __future__ import annotations

from services.api import dependencies
from services.api.actions import outside
from services.api.actions.hearing import hear
from shared.bus import Relay, Web, on
from shared.contracts import datastore_agentless as databases
from shared.contracts import external, provisioner
from shared.contracts.operations import OperationProgressed


class ApiService:
    """Entrypoints; the work is in actions and resources."""

    name = "api"

    relay = Relay(dependencies.relay)
    web = Web(dependencies.app)

    @on(provisioner.InstanceActive)
    def instance_active(self, event: provisioner.InstanceActive) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(provisioner.InstanceFailed)
    def instance_failed(self, event: provisioner.InstanceFailed) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(provisioner.InstanceDeleted)
    def instance_deleted(self, event: provisioner.InstanceDeleted) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(provisioner.FlavorsListed)
    def flavors_listed(self, event: provisioner.FlavorsListed) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(databases.NodeReady)
    def node_ready(self, event: databases.NodeReady) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(databases.NodeIdentityChanged)
    def node_identity_changed(self, event: databases.NodeIdentityChanged) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(databases.ClusterActive)
    def cluster_active(self, event: databases.ClusterActive) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(databases.ClusterFailed)
    def cluster_failed(self, event: databases.ClusterFailed) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(databases.ClusterDeleted)
    def cluster_deleted(self, event: databases.ClusterDeleted) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(databases.PerformCompleted)
    def perform_completed(self, event: databases.PerformCompleted) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(databases.PerformFailed)
    def perform_failed(self, event: databases.PerformFailed) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(databases.BackupCompleted)
    def backup_completed(self, event: databases.BackupCompleted) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(databases.BackupFailed)
    def backup_failed(self, event: databases.BackupFailed) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(databases.DatastoreRegistered)
    def datastore_registered(self, event: databases.DatastoreRegistered) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(databases.TranscriptRecorded)
    def transcript_recorded(self, event: databases.TranscriptRecorded) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(OperationProgressed, "provisioner")
    def provisioner_progressed(self, event: OperationProgressed) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(OperationProgressed, "datastore_agentless")
    def datastore_agentless_progressed(self, event: OperationProgressed) -> None:
        """Take it into the read model."""
        hear(dependencies.database(), event)

    @on(external.ExternalClusterRequested)
    def external_cluster_requested(self, event: external.ExternalClusterRequested) -> None:
        """Another system's wish, checked like one over HTTP."""
        outside.request_cluster(dependencies.database(), event, dependencies.settings().max_cluster_size)

    @on(external.ExternalClusterDeleteRequested)
    def external_cluster_delete_requested(self, event: external.ExternalClusterDeleteRequested) -> None:
        """Another system's wish, checked like one over HTTP."""
        outside.delete_cluster(dependencies.database(), event, dependencies.settings().max_cluster_size)

    @on(external.ExternalBackupDue)
    def external_backup_due(self, event: external.ExternalBackupDue) -> None:
        """Another system's wish, checked like one over HTTP."""
        outside.request_backup(dependencies.database(), event, dependencies.settings().max_cluster_size)
