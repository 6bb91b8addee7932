"""The provisioner: servers, volumes and addresses, from whatever cloud there is."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from services.provisioner import actions, addressing, delegating, dependencies, powering, reconciler, resizing
from services.provisioner.domain.delegation import Delegation, Kind
from shared.bus import Relay, Steps, Ticker, on, rpc
from shared.contracts.api import (
    ClusterDeleteRequested,
    ClusterRequested,
    NodesRequested,
    OperationCancelRequested,
    OperationReminded,
    OperationRetryRequested,
)
from shared.contracts.base import dump
from shared.contracts.datastore_agentless import (
    AddressMoveRequested,
    NodeFenceRequested,
    NodePowerRequested,
    NodeReleased,
    NodeResizeRequested,
)
from shared.db.outbox import repeat
from shared.db.reseal import reseal
from shared.errors import Conflict, Retryable
from shared.secrets import Secret

FLAVORS_SECONDS, SWEEP_SECONDS, TIDY_SECONDS, COUNT_SECONDS = 300.0, 20.0, 3600.0, 20.0
log = logging.getLogger(__name__)


def announce_flavors() -> None:
    """Say what sizes there are, at start and from time to time: consumers may be new."""
    watch = dependencies.watch()
    actions.announce_flavors(
        dependencies.database(),
        watch.name,
        watch.look_at_flavors(),
        volumes=watch.clouds.own.supports_volumes,
        snapshots=watch.clouds.own.supports_snapshots,
        resize=watch.clouds.own.supports_resize,
        addresses=watch.clouds.own.supports_addresses,
    )


def _in_lent_projects() -> bool:
    """Whether clusters are made in the projects of the cloud that their own projects have lent."""
    return dependencies.settings().clusters_in == "project"


def sweep() -> None:
    """Make what the provider holds equal to what the database says."""
    watch, database = dependencies.watch(), dependencies.database()
    if not (watch.wants_a_look() or reconciler.in_doubt(database, watch.ours_at)):
        return
    began = database.clock.now()
    seen = watch.look_at_ours()
    for instance_id in actions.sweep(database, seen):
        log.warning("the provider still held something of the deleted instance %s; it is being removed", instance_id)
    for found in reconciler.reconcile(database, seen, began, lambda one: watch.clouds.of(one).update_status(one)[0]):
        log.warning(
            "the %s %s of instance %s is nobody's; it is being removed", found.kind, found.id, found.instance_id
        )
    for addr in addressing.put_right(database, seen):
        log.warning("the address %s does not lead to where it is to; it is being moved", addr)


def forget_old() -> None:
    """Drop events and tasks that were done with long ago."""
    dependencies.database().forget_old()


def count_secrets() -> None:
    """See by which keys secrets are sealed."""
    dependencies.state().count_secrets()


class ProvisionerService:
    """Entrypoints; the work is in actions and workflows."""

    name = "provisioner"

    relay = Relay(dependencies.relay)
    steps = Steps(dependencies.steps)
    flavors_ticker = Ticker(announce_flavors, FLAVORS_SECONDS)
    sweeper = Ticker(sweep, SWEEP_SECONDS)
    tidying = Ticker(forget_old, TIDY_SECONDS)
    counting = Ticker(count_secrets, COUNT_SECONDS)

    @on(ClusterRequested)
    @on(NodesRequested)
    def request_instances(self, event: ClusterRequested | NodesRequested) -> None:
        """File one build per instance."""
        addressed = dependencies.provider().supports_addresses
        actions.request_instances(dependencies.database(), event, lent=_in_lent_projects(), addressed=addressed)

    @on(ClusterDeleteRequested)
    def delete_cluster(self, event: ClusterDeleteRequested) -> None:
        """File the deletion of each instance."""
        actions.delete_cluster(dependencies.database(), event)

    @on(NodeReleased)
    def delete_instance(self, event: NodeReleased) -> None:
        """File the deletion of one instance."""
        actions.delete_instance(dependencies.database(), event)

    @on(NodeFenceRequested)
    def fence_instance(self, event: NodeFenceRequested) -> None:
        """File the switching off of a server."""
        if not powering.fence_instance(dependencies.database(), event):
            raise Retryable(f"instance {event.instance_id} is not known here yet")

    @on(NodePowerRequested)
    def power_instance(self, event: NodePowerRequested) -> None:
        """File the switching on of a server."""
        if not powering.power_instance(dependencies.database(), event):
            raise Retryable(f"instance {event.instance_id} is not known here yet")

    @on(NodeResizeRequested)
    def resize_instance(self, event: NodeResizeRequested) -> None:
        """File the growing of a server's volume, or the change of its flavor."""
        if not resizing.resize_instance(dependencies.database(), event):
            raise Retryable(f"instance {event.instance_id} is not known here yet")

    @on(AddressMoveRequested)
    def move_address(self, event: AddressMoveRequested) -> None:
        """File the moving of a cluster's address."""
        if not addressing.move_address(dependencies.database(), event):
            raise Retryable(f"the address of cluster {event.cluster_id} is not known here yet")

    @on(OperationCancelRequested)
    def cancel_operation(self, event: OperationCancelRequested) -> None:
        """Stop and undo."""
        actions.cancel_operation(dependencies.database(), event)

    @on(OperationRetryRequested)
    def retry_operation(self, event: OperationRetryRequested) -> None:
        """Go on from the step that failed."""
        actions.retry_operation(dependencies.database(), event)

    @on(OperationReminded)
    def say_again(self, event: OperationReminded) -> None:
        """Announce once more what was announced of an operation."""
        repeat(dependencies.database(), event.operation_id)

    @rpc
    def reseal(self) -> dict[str, Any]:
        """Seal some of the stored secrets anew, with the newest key; says how many are left."""
        return reseal(dependencies.database(), dependencies.keyring())

    @rpc
    def flavors(self, datastore: str | None = None) -> list[dict[str, Any]]:
        """Sizes on offer, as they were announced last; with `datastore` (a manager's name) those that it runs well on."""
        return [asdict(flavor) for flavor in dependencies.watch().flavors(datastore)]

    @rpc
    def delegate(
        self, project_id: str, kind: str, credential_id: str, secret: str, *, own: bool = False
    ) -> dict[str, Any]:
        """Take in what a project lends, its `secret` sealed with the keyring; see delegating.accept. Raises Conflict as well
        where clusters are made in the service's own project whatever is lent.
        """
        if not _in_lent_projects():
            raise Conflict("clusters are made in DTrove's own project of the cloud here: nothing that is lent would be used",
                           what_to_do="ask whoever runs DTrove to set DTROVE_CLUSTERS_IN=project")  # fmt: skip
        opened = dependencies.keyring().open(secret) if secret else Secret("")
        given = Delegation(project_id, Kind(kind), credential_id, opened)
        return delegating.accept(dependencies.database(), dependencies.provider(), given, own=own)

    @rpc
    def delegation(self, project_id: str) -> dict[str, Any]:
        """What a project has lent, without its secret."""
        return delegating.show(dependencies.database(), project_id)

    @rpc
    def withdraw_delegation(self, project_id: str) -> None:
        """Forget what a project has lent."""
        delegating.withdraw(dependencies.database(), project_id)

    @rpc
    def provider_status(self) -> dict[str, Any]:
        """Whether the provider answered when it was last asked, and what of ours it held."""
        return dependencies.watch().status()

    @rpc
    def state(self, operations: Sequence[str] = ()) -> dict[str, Any]:
        """How this service is: a ServiceState, with the open tasks of `operations`, the provider, and orphans by kind."""
        seen = dependencies.watch().state()
        found = dependencies.state().state(operations)
        return dump(replace(found, provider=seen, orphans=reconciler.counted(dependencies.database())))

    @rpc
    def orphans(self) -> list[dict[str, Any]]:
        """What the provider holds and the database knows nothing of, and the other way round, as last seen."""
        return reconciler.orphans(dependencies.database())

    @rpc
    def clean_orphans(self, ids: list[str]) -> list[dict[str, Any]]:
        """File the removal of some of them, by their ids; returns these, as they stand now."""
        return reconciler.clean(dependencies.database(), ids)

    @rpc
    def server_status(self, instance_id: str) -> dict[str, str]:
        """What the provider says of one server, asked now: its `status`, a `message`, the last lines of its `console`."""
        return powering.server_status(dependencies.database(), dependencies.witness(), instance_id)

    @rpc
    def create_server(self, instance_id: str, volume_id: str | None = None) -> str:
        """File the building of a known instance; returns the task's id."""
        return actions.create_server(dependencies.database(), instance_id, volume_id)

    @rpc
    def create_volume(self, instance_id: str) -> str:
        """File the making of an instance's volume; returns the task's id."""
        return actions.create_volume(dependencies.database(), instance_id)

    @rpc
    def attach_volume(self, instance_id: str, volume_id: str = "") -> str:
        """File the attaching and mounting of an instance's volume; returns the task's id."""
        return actions.attach_volume(dependencies.database(), instance_id, volume_id)
