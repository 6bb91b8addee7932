"""The provisioner: servers, volumes and addresses, from whatever cloud there is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from services.provisioner import actions, dependencies
from services.provisioner.store import instances
from shared.bus import Relay, Steps, Ticker, on, rpc
from shared.contracts.api import (
    ClusterDeleteRequested,
    ClusterRequested,
    OperationCancelRequested,
    OperationRetryRequested,
)

FLAVORS_SECONDS = 300.0


def announce_flavors() -> None:
    """Say what sizes there are, at start and from time to time: consumers may be new."""
    cloud = dependencies.provider()
    actions.announce_flavors(
        dependencies.database(),
        dependencies.settings().provider,
        cloud.flavors(),
        volumes=cloud.supports_volumes,
        snapshots=cloud.supports_snapshots,
    )


class ProvisionerService:
    """Entrypoints; the work is in actions and workflows."""

    name = "provisioner"

    relay = Relay(dependencies.relay)
    steps = Steps(dependencies.steps)
    flavors_ticker = Ticker(announce_flavors, FLAVORS_SECONDS)

    @on(ClusterRequested)
    def request_cluster(self, event: ClusterRequested) -> None:
        """File one build per instance."""
        actions.request_cluster(dependencies.database(), event)

    @on(ClusterDeleteRequested)
    def delete_cluster(self, event: ClusterDeleteRequested) -> None:
        """File the deletion of each instance."""
        actions.delete_cluster(dependencies.database(), event)

    @on(OperationCancelRequested)
    def cancel_operation(self, event: OperationCancelRequested) -> None:
        """Stop and undo."""
        actions.cancel_operation(dependencies.database(), event)

    @on(OperationRetryRequested)
    def retry_operation(self, event: OperationRetryRequested) -> None:
        """Go on from the step that failed."""
        actions.retry_operation(dependencies.database(), event)

    @rpc
    def flavors(self, datastore: str | None = None) -> list[dict[str, Any]]:
        """Sizes on offer."""
        return [asdict(flavor) for flavor in dependencies.provider().flavors(datastore)]

    @rpc
    def create_server(self, instance_id: str, volume_id: str | None = None) -> str:
        """File the building of a known instance; returns the task's id."""
        return actions.create_server(dependencies.database(), instance_id, volume_id)

    @rpc
    def create_volume(self, instance_id: str) -> dict[str, Any]:
        """Make an instance's volume; returns it."""
        return self._with_volume(instance_id, attach=False)

    @rpc
    def attach_volume(self, instance_id: str, volume_id: str) -> dict[str, Any]:
        """Attach and mount an instance's volume; returns it."""
        return self._with_volume(instance_id, attach=True, volume_id=volume_id)

    def _with_volume(self, instance_id: str, *, attach: bool, volume_id: str = "") -> dict[str, Any]:
        database, cloud = dependencies.database(), dependencies.provider()
        with database.read() as connection:
            instance = instances.get(connection, instance_id)
        if instance.volume and volume_id:
            instance.volume.id = volume_id
        (cloud.attach_volume if attach else cloud.create_volume)(instance)
        with database.write() as tx:
            instances.save(tx, instance)
        return asdict(instance.volume) if instance.volume else {}
