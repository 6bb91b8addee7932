"""Turns a wish for an instance into a running server with its volume, announced as `instance.active`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from services.provisioner.domain.address import State
from services.provisioner.domain.instance import Instance, Status, Volume
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.clouds import Clouds
from services.provisioner.store import addresses, instances
from shared.contracts.provisioner import InstanceActive, InstanceFailed
from shared.contracts.values import Problem, VolumeRef
from shared.db import Database, Tx
from shared.errors import Cancelled, DtroveError
from shared.secrets import Secret
from shared.workflow import Next, Outcome, Step, StepContext, Task, Wait, Workflow

LAST_LOOK = 2.0
CONSOLE_LINES = 20
ADDRESS_LOOK = 0.2

IssueKey = Callable[[str], str]
MakeHostKey = Callable[[str], tuple[Secret, str]]


@dataclass(frozen=True)
class BuildInstance:
    """The steps, over the clouds; `issue_key` asks datastore_agentless for a cluster's public key.

    `make_host_key` makes the key pair that the server is born with: (private OpenSSH text, public line).
    """

    database: Database
    clouds: Clouds
    issue_key: IssueKey
    make_host_key: MakeHostKey
    server_deadline: float = 600.0

    def workflow(self) -> Workflow:
        """Steps in order; a failure removes the server again, for half a server serves nobody."""
        steps = (
            Step("issue_key", self._issue_key, deadline=120),
            Step("create_server", self._create_server, undo=self._destroy_server, deadline=900),
            Step("wait_for_server", self._wait_for_server, deadline=self.server_deadline),
            Step("attach_volume", self._attach_volume, deadline=300),
            Step("announce", self._announce),
        )
        return Workflow("build_instance", steps, on_failure=self._failed, undo_on_failure=True)

    def _load(self, context: StepContext) -> Instance:
        with self.database.read() as connection:
            instance = instances.get(connection, context.task.payload["instance_id"])
        if instance.status in (Status.DELETING, Status.DELETED) and context.task.mode == "forward":
            raise Cancelled(f"instance {instance.id} is being deleted")
        instance.epoch = context.task.epoch
        return instance

    def _issue_key(self, context: StepContext) -> Outcome:
        instance = self._load(context)
        if not instance.host_key:
            instance.host_key_private, instance.host_key = self.make_host_key(instance.name)
        instance.public_key = self.issue_key(instance.cluster_id)
        instance.become(Status.BUILDING)
        return Next(save=_saving(instance))

    def _create_server(self, context: StepContext) -> Outcome:
        instance = self._load(context)
        context.report(f"asking for a server of flavor {instance.flavor.name}")
        self.clouds.of(instance).create(instance)
        return Next(save=_saving(instance), message=f"server {instance.server or instance.name} was accepted")

    def _wait_for_server(self, context: StepContext) -> Outcome:
        instance = self._load(context)
        status, progress = self.clouds.of(instance).update_status(instance)
        if status == "ACTIVE" and instance.addr:
            return Next(save=_saving(instance), message=f"server is up at {instance.addr}")
        if status in ("ERROR", "DELETED"):
            raise self._given_up(
                instance, f"the provider ended the server in state {status}: {instance.message or 'it gave no reason'}"
            )
        age = (self.database.clock.now() - context.task.step_started_at).total_seconds()
        share = f" ({progress} %)" if progress else ""
        lacks = " and has no address" if status == "ACTIVE" else ""
        reason = f"the server is {status}{share}{lacks}" + (f": {instance.message}" if instance.message else "")
        if age > self.server_deadline:
            raise self._given_up(instance, f"{reason}; gave up after {self.server_deadline:.0f} s")
        pause = min(LAST_LOOK, max(self.clouds.of(instance).poll_seconds, age / 4))
        return Wait(pause, reason, percent=progress, save=_saving(instance))

    def _given_up(self, instance: Instance, message: str) -> ProviderError:
        """Why there is no server, with the end of what its console said, where the provider can still be asked for that."""
        try:
            console = self.clouds.of(instance).console_output(instance, CONSOLE_LINES)
        except DtroveError as error:
            console = f"its console cannot be read: {error.message}"
        return ProviderError(
            message, stderr=console, what_to_do="retry the operation, or choose another flavor or image"
        )

    def _attach_volume(self, context: StepContext) -> Outcome:
        instance = self._load(context)
        if instance.volume is None:
            return Next()
        self.clouds.of(instance).attach_volume(instance)
        return Next(save=_saving(instance), message=f"{instance.volume.size_gb} GB volume attached")

    def _announce(self, context: StepContext) -> Outcome:
        """Say where it is, and where its cluster is, once that is known."""
        instance = self._load(context)
        with self.database.read() as connection:
            address = addresses.find(connection, instance.cluster_id)
        if address is not None and address.state == State.WANTED:
            return Wait(ADDRESS_LOOK, "its cluster has no address of its own yet")
        if address is not None and address.state == State.FAILED:
            raise ProviderError(f"its cluster got no address of its own: {address.message}",
                                what_to_do="retry the operation")  # fmt: skip
        instance.become(Status.ACTIVE)

        def save(tx: Tx) -> None:
            instances.save(tx, instance)
            tx.emit(_active(instance, context.task.operation_id, address.addr if address else ""))

        return Next(save=save)

    def _destroy_server(self, context: StepContext) -> Outcome:
        instance = self._load(context)
        self.clouds.of(instance).destroy(instance)
        volume = Volume(size_gb=instance.volume.size_gb) if instance.volume else None
        gone = replace(instance, server="", addr="", server_status="DELETED", volume=volume)
        return Next(save=_saving(gone), message="the server was removed again")

    def _failed(self, tx: Tx, task: Task, problem: Problem) -> None:
        instance = instances.get(tx.connection, task.payload["instance_id"])
        if instance.status in (Status.DELETING, Status.DELETED):
            return
        instance.become(Status.FAILED)
        instance.message = problem.message
        instances.save(tx, instance)
        tx.emit(
            InstanceFailed(
                instance_id=instance.id, cluster_id=task.cluster_id, operation_id=task.operation_id, problem=problem
            )
        )


def _saving(instance: Instance) -> Callable[[Tx], None]:
    return lambda tx: instances.save(tx, instance)


def _active(instance: Instance, operation_id: str, cluster_addr: str) -> InstanceActive:
    volume = instance.volume
    return InstanceActive(
        instance_id=instance.id, cluster_id=instance.cluster_id, operation_id=operation_id, server=instance.server,
        addr=instance.addr, user=instance.user, host_key=instance.host_key, local_id=instance.local_id,
        ssh_port=instance.ssh_port, reach=instance.reach, cluster_addr=cluster_addr, keeps_host_key=not instance.host_key_private,
        volume=None if volume is None else VolumeRef(
            id=volume.id, size_gb=volume.size_gb, mount_point=volume.mount_point, device=volume.device,
            mounted=volume.mounted,
        ),
    )  # fmt: skip
