"""Turns a wish for a larger volume into one that is as large at the provider, while its server uses it; and a wish for another
flavor into a server that is of it and runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.provisioner.domain.instance import Instance, Status
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.clouds import Clouds
from services.provisioner.store import instances
from shared.contracts.base import load
from shared.contracts.provisioner import InstanceResized, InstanceResizeFailed
from shared.contracts.values import Flavor, Problem
from shared.db import Database, Tx
from shared.errors import Conflict
from shared.workflow import Next, Outcome, Step, StepContext, Task, Wait, Workflow

GROW, RESIZE = "grow_volume", "resize_instance"
GOING = (Status.DELETING, Status.DELETED)


@dataclass(frozen=True)
class ResizeInstance:
    """Two workflows over the clouds, whose calls find what they did before. Who has asked is answered, whatever becomes of it.

    `up_deadline` is how many seconds a server may take to come up again. What has grown does not shrink, and a server that has become
    another stays so: there is no way back.
    """

    database: Database
    clouds: Clouds
    up_deadline: float = 600.0

    def workflows(self) -> tuple[Workflow, Workflow]:
        """Of the volume, and of the server."""
        grow = (Step("extend_volume", self._extend, deadline=600),)
        resize = (
            Step("resize_server", self._resize, deadline=1800),
            Step("wait_until_up", self._wait_until_up, deadline=self.up_deadline),
        )
        return (
            Workflow(GROW, grow, on_failure=_failed, on_cancelled=_cancelled),
            Workflow(RESIZE, resize, on_failure=_failed),
        )

    def _load(self, context: StepContext) -> Instance:
        with self.database.read() as connection:
            instance = instances.get(connection, context.task.payload["instance_id"])
        if instance.status in GOING:
            raise Conflict(f"instance {instance.id} is {instance.status}")
        return instance

    def _extend(self, context: StepContext) -> Outcome:
        instance, size_gb = self._load(context), int(context.task.payload["volume_gb"])
        instance.message = ""
        self.clouds.of(instance).extend_volume(instance, size_gb)

        def save(tx: Tx) -> None:
            present = instances.get(tx.connection, instance.id)
            present.volume = instance.volume
            instances.save(tx, present)
            tx.emit(InstanceResized(instance_id=instance.id, cluster_id=instance.cluster_id, volume_gb=size_gb,
                                    operation_id=context.task.operation_id, message=instance.message))  # fmt: skip

        return Next(save=save, message=f"the volume of {instance.name} has {size_gb} GB")

    def _resize(self, context: StepContext) -> Outcome:
        instance, flavor = self._load(context), load(Flavor, context.task.payload["flavor"])
        if instance.status != Status.ACTIVE:
            raise Conflict(f"instance {instance.id} is {instance.status}", what_to_do="wait until it runs, then retry")
        self.clouds.of(instance).resize(instance, flavor)

        def save(tx: Tx) -> None:
            present = instances.get(tx.connection, instance.id)
            present.flavor = instance.flavor
            instances.save(tx, present)

        return Next(save=save, message=f"{instance.name} is a {flavor.name}")

    def _wait_until_up(self, context: StepContext) -> Outcome:
        instance = self._load(context)
        provider = self.clouds.of(instance)
        status, _ = provider.update_status(instance)
        words = f": {instance.message}" if instance.message else ""
        if status in ("ERROR", "DELETED"):
            raise ProviderError(f"the provider ended the server in state {status}{words}",
                                what_to_do="replace the node by a new one")  # fmt: skip
        if status != "ACTIVE" or not instance.addr:
            return Wait(max(1.0, provider.poll_seconds), f"the server is {status}{words}")

        def save(tx: Tx) -> None:
            instances.save(tx, instance)
            tx.emit(InstanceResized(instance_id=instance.id, cluster_id=instance.cluster_id, flavor=instance.flavor,
                                    operation_id=context.task.operation_id, addr=instance.addr, reach=instance.reach))  # fmt: skip

        return Next(save=save, message=f"the server runs at {instance.addr}")


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    told = task.payload.get("flavor")
    tx.emit(InstanceResizeFailed(instance_id=task.payload["instance_id"], cluster_id=task.cluster_id, problem=problem,
                                 operation_id=task.operation_id, flavor=load(Flavor, told) if told else None))  # fmt: skip


def _cancelled(tx: Tx, task: Task) -> None:
    _failed(tx, task, Problem(step=task.step, host=task.host, message="it was cancelled"))
