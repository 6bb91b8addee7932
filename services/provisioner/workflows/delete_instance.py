"""Turns an instance that nobody wants any more into nothing, announced as `instance.deleted`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.provisioner.domain.address import State
from services.provisioner.domain.instance import Instance, Status
from services.provisioner.providers.clouds import Clouds
from services.provisioner.store import addresses, instances
from shared.contracts.provisioner import InstanceDeleted, InstanceFailed
from shared.contracts.values import Problem
from shared.db import Database, Tx
from shared.secrets import Secret
from shared.workflow import Next, Outcome, Save, Step, StepContext, Task, Workflow


@dataclass(frozen=True)
class DeleteInstance:
    """The steps, over the clouds; destroying what is gone already is no error."""

    database: Database
    clouds: Clouds

    def workflow(self) -> Workflow:
        """One attempt a while, for an hour: a cloud that is away must not leave a server behind."""
        steps = (
            Step("mark", self._mark),
            Step("destroy", self._destroy, deadline=3600),
        )
        return Workflow("delete_instance", steps, on_failure=self._failed)

    def _load(self, context: StepContext) -> Instance:
        with self.database.read() as connection:
            return instances.get(connection, context.task.payload["instance_id"])

    def _mark(self, context: StepContext) -> Outcome:
        instance = self._load(context)
        if instance.status != Status.DELETED:
            instance.become(Status.DELETING)
        return Next(save=_saving(instance))

    def _destroy(self, context: StepContext) -> Outcome:
        instance = self._load(context)
        self.clouds.of(instance).destroy(instance)
        released = self._release_address(instance)
        # A retry goes on here, from an instance that had failed.
        instance.become(Status.DELETING if instance.status == Status.FAILED else instance.status)
        instance.become(Status.DELETED)
        instance.host_key_private = Secret("")

        def save(tx: Tx) -> None:
            instances.save(tx, instance)
            released(tx)
            task = context.task
            tx.emit(
                InstanceDeleted(instance_id=instance.id, cluster_id=task.cluster_id, operation_id=task.operation_id)
            )

        return Next(save=save, message="the server and its volumes are gone")

    def _release_address(self, instance: Instance) -> Save:
        """With its cluster goes the address that it has of its own; whoever comes first gives it back, and it is given back once
        more by any other: so it is gone before the cluster is.
        """
        with self.database.read() as connection:
            address = addresses.find(connection, instance.cluster_id)
        if address is None or not address.goes:
            return lambda _tx: None
        self.clouds.account(address.account).release_address(address)

        def save(tx: Tx) -> None:
            present = addresses.lock(tx, instance.cluster_id)
            if present is not None:
                present.become(State.GONE)
                addresses.save(tx, present)

        return save

    def _failed(self, tx: Tx, task: Task, problem: Problem) -> None:
        instance = instances.get(tx.connection, task.payload["instance_id"])
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
