"""A provisioner of a test's own: real actions, workflows and step engine over SQLite and the cloud in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from services.provisioner import actions, addressing, powering, resizing
from services.provisioner.domain.address import ClusterAddress
from services.provisioner.domain.instance import Instance
from services.provisioner.providers.clouds import Clouds
from services.provisioner.providers.fake import Cloud, Fault, Provider
from services.provisioner.store import addresses, instances
from services.provisioner.store.delegations import Delegations
from services.provisioner.store.tables import metadata
from services.provisioner.workflows.attach_volume import AttachVolume
from services.provisioner.workflows.build_instance import BuildInstance
from services.provisioner.workflows.delete_instance import DeleteInstance
from services.provisioner.workflows.lead_address import LeadAddress
from services.provisioner.workflows.remove_thing import RemoveThing
from services.provisioner.workflows.resize_instance import ResizeInstance
from services.provisioner.workflows.switch_power import SwitchPower
from shared.clock import ManualClock
from shared.contracts.api import ClusterDeleteRequested, ClusterRequested, OperationRetryRequested
from shared.contracts.datastore_agentless import (
    AddressMoveRequested,
    NodeFenceRequested,
    NodePowerRequested,
    NodeResizeRequested,
)
from shared.contracts.values import DatastoreRef, Flavor, InstanceRef
from shared.db import Database, Sealed
from shared.engine import StepEngine
from shared.errors import Retryable
from shared.secrets import Keyring, Secret, new_key

INSTANCE = "11111111-2222-4333-8444-555555555555"
CLUSTER = "99999999-2222-4333-8444-555555555555"
SMALL = Flavor(id="small", name="small", vcpus=1, ram_mb=1024, disk_gb=10)


@dataclass
class Rig:
    """What a test works with. `key_service_away` makes so many calls for the public key fail."""

    clock: ManualClock
    database: Database
    cloud: Cloud
    provider: Provider
    key_service_away: int = 0
    engine: StepEngine = field(init=False)
    clouds: Clouds = field(init=False)

    def __post_init__(self) -> None:
        self.clouds = Clouds(self.provider, Delegations(self.database))
        build = BuildInstance(
            self.database, self.clouds, self._issue_key, lambda name: (Secret(f"key of {name}"), "ssh-ed25519 AAAA")
        )
        attach = AttachVolume(self.database, self.clouds)
        power = SwitchPower(self.database, self.clouds)
        flows = (build.workflow(), DeleteInstance(self.database, self.clouds).workflow(), attach.create_workflow(),
                 attach.attach_workflow(), RemoveThing(self.database, self.clouds).workflow(), power.fence_workflow(),
                 power.power_on_workflow(), *ResizeInstance(self.database, self.clouds).workflows(),
                 *LeadAddress(self.database, self.clouds).workflows())  # fmt: skip
        self.engine = StepEngine(self.database, {flow.name: flow for flow in flows}, owner="tester")

    def _issue_key(self, _cluster_id: str) -> str:
        if self.key_service_away:
            self.key_service_away -= 1
            raise Retryable("datastore_agentless did not answer")
        return "ssh-ed25519 CLUSTER"

    def strike(self, call: str, fault: str, times: int = 1) -> None:
        """Order a fault."""
        self.provider.faults.pending.append(Fault(call, fault, times))

    def request(
        self, volume_gb: int | None = None, event_id: str = "wish-1", *, lent: bool = False, addressed: bool = False,
        names: tuple[str, ...] = (INSTANCE,),
    ) -> None:  # fmt: skip
        """A cluster of one instance is wanted, or of those that are named."""
        wish = ClusterRequested(
            event_id=event_id, cluster_id=CLUSTER, operation_id="o-create", project_id="p", name="shop", size=1,
            datastore=DatastoreRef(id="d", manager="pgsql", version="15", image="debian"), flavor=SMALL,
            instances=tuple(InstanceRef(id=one, name=f"shop-{number}") for number, one in enumerate(names, 1)),
            volume_gb=volume_gb,
        )  # fmt: skip
        actions.request_instances(self.database, wish, lent=lent, addressed=addressed)

    def retry(self) -> None:
        """What failed of the create is to go on."""
        wish = OperationRetryRequested(event_id="wish-3", operation_id="o-create", cluster_id=CLUSTER)
        actions.retry_operation(self.database, wish)

    def delete(self, operation: str = "o-delete", event_id: str = "wish-2") -> None:
        """The cluster is to go."""
        wish = ClusterDeleteRequested(
            event_id=event_id, cluster_id=CLUSTER, operation_id=operation, project_id="p", instance_ids=(INSTANCE,)
        )
        actions.delete_cluster(self.database, wish)

    def fence(self, operation: str = "o-fence", event_id: str = "wish-4") -> bool:
        """The server is to be off."""
        wish = NodeFenceRequested(
            event_id=event_id, cluster_id=CLUSTER, operation_id=operation, project_id="p", instance_id=INSTANCE
        )
        return powering.fence_instance(self.database, wish)

    def power_on(self, operation: str = "o-fence", event_id: str = "wish-5") -> bool:
        """The server is to run again."""
        wish = NodePowerRequested(
            event_id=event_id, cluster_id=CLUSTER, operation_id=operation, project_id="p", instance_id=INSTANCE
        )
        return powering.power_instance(self.database, wish)

    def lead(self, instance_id: str = INSTANCE, event_id: str = "wish-7", ago: float = 0.0) -> bool:
        """The cluster's address is to lead to an instance, since so many seconds ago."""
        wish = AddressMoveRequested(
            event_id=event_id, cluster_id=CLUSTER, operation_id="o-lead", project_id="p", instance_id=instance_id,
            occurred_at=self.clock.now() - timedelta(seconds=ago),
        )  # fmt: skip
        return addressing.move_address(self.database, wish)

    def resize(self, volume_gb: int, event_id: str = "wish-6", flavor: Flavor | None = None) -> bool:
        """The volume is to be so large, or the server of another flavor."""
        wish = NodeResizeRequested(event_id=event_id, cluster_id=CLUSTER, operation_id="o-resize", project_id="p",
                                   instance_id=INSTANCE, volume_gb=volume_gb, flavor=flavor)  # fmt: skip
        return resizing.resize_instance(self.database, wish)

    def run(self, until: Callable[[], bool] = lambda: False, rounds: int = 5000) -> None:
        """Let the engine work, time passing as it asks, until it rests or `until` holds."""
        for _ in range(rounds):
            if until():
                return
            pause = self.engine.run_due()
            if pause is None:
                return
            self.clock.advance(pause)
        raise AssertionError("the engine did not come to rest")

    @property
    def instance(self) -> Instance:
        """The instance as it is stored."""
        with self.database.read() as connection:
            return instances.get(connection, INSTANCE)

    @property
    def address(self) -> ClusterAddress | None:
        """The cluster's address as it is stored."""
        with self.database.read() as connection:
            return addresses.find(connection, CLUSTER)

    @property
    def leads_to(self) -> list[str]:
        """The instance that each address in the cloud leads to."""
        return [one.instance_id for one in self.cloud.addresses()]

    def said(self, topic: str) -> list[dict[str, Any]]:
        """What was announced under a topic."""
        outbox = self.database.outbox
        with self.database.read() as connection:
            rows = connection.execute(select(outbox).where(outbox.c.routing_key == topic).order_by(outbox.c.id))
            return [json.loads(row.body) for row in rows]

    def tasks(self) -> dict[str, str]:
        """Status of every task, by kind; the last one filed of each."""
        t = self.database.tasks
        with self.database.read() as connection:
            return {row.kind: row.status for row in connection.execute(select(t).order_by(t.c.created_at))}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A provisioner whose servers take ten seconds to come up."""
    Sealed.keyring = Keyring((new_key(),))
    clock = ManualClock()
    database = Database(f"sqlite:///{tmp_path}/provisioner.sqlite", "provisioner", metadata, clock)
    metadata.create_all(database.engine)
    cloud = Cloud(build_seconds=10, clock=clock)
    return Rig(clock, database, cloud, Provider({}, cloud))
