"""Turns a cluster that is wanted into one with an address of its own, and a wish to have that lead elsewhere into `address.moved`.

All tasks of one address have the same subject: one is at work on it at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from services.provisioner.domain.address import ClusterAddress, State
from services.provisioner.providers.clouds import Clouds
from services.provisioner.store import addresses, instances
from shared.contracts.provisioner import AddressMoved, AddressMoveFailed
from shared.contracts.values import Problem
from shared.db import Database, Tx, tasks
from shared.errors import Cancelled
from shared.workflow import Next, Outcome, Step, StepContext, Task, TaskDraft, Workflow, task_id

TAKE, MOVE = "take_address", "move_address"
# Longer than an outage that no operation may fail for.
MOVE_SECONDS = 300.0
FIRST_PAUSE, LAST_PAUSE = 0.25, 2.0


@dataclass(frozen=True)
class LeadAddress:
    """Two workflows of one step each, over the clouds."""

    database: Database
    clouds: Clouds

    def workflows(self) -> tuple[Workflow, ...]:
        """Take it, once; move it, as often as that is wanted."""
        take = Step("take_address", self._take, undo=self._give_back, deadline=300)
        move = Step("move_address", self._move, deadline=MOVE_SECONDS, backoff=FIRST_PAUSE, backoff_cap=LAST_PAUSE)
        return (
            Workflow(TAKE, (take,), on_failure=self._not_taken, undo_on_failure=True),
            Workflow(MOVE, (move,), on_failure=self._not_moved),
        )

    def _take(self, context: StepContext) -> Outcome:
        address = self._load(context)
        if address.goes:
            raise Cancelled(f"cluster {address.cluster_id} is being deleted")
        self._stand(context)
        self.clouds.account(address.account).take_address(address)

        def save(tx: Tx) -> None:
            present = addresses.lock(tx, address.cluster_id)
            if present is not None and not present.goes:
                present.addr, present.message = address.addr, ""
                present.become(State.TAKEN if address.addr else State.NONE)
                addresses.save(tx, present)

        return Next(
            save=save, message=f"the cluster's address is {address.addr}" if address.addr else "there is none here"
        )

    def _give_back(self, context: StepContext) -> Outcome:
        address = self._load(context)
        self.clouds.account(address.account).release_address(address)
        return Next(message="the address was given back")

    def _move(self, context: StepContext) -> Outcome:
        """Have it lead to whoever it is to lead to by now, which may be another one than when the task was filed."""
        address = self._load(context)
        if address.goes:
            return Next(message="the cluster is being deleted")
        with self.database.read() as connection:
            instance = instances.get(connection, address.wanted_id)
        self._stand(context)
        began = self.database.clock.now()
        self.clouds.account(address.account).move_address(address, instance)
        seconds = self._since(began)

        def save(tx: Tx) -> None:
            tx.emit(AddressMoved(cluster_id=address.cluster_id, instance_id=instance.id, addr=address.addr,
                                 operation_id=context.task.operation_id, seconds=seconds))  # fmt: skip

        return Next(save=save, message=f"{address.addr} leads to {instance.name}")

    def _load(self, context: StepContext) -> ClusterAddress:
        with self.database.read() as connection:
            address = addresses.find(connection, context.task.cluster_id)
        if address is None:
            raise Cancelled(f"cluster {context.task.cluster_id} has no address")
        return replace(address, epoch=context.task.epoch)

    def _stand(self, context: StepContext) -> None:
        """Raise StaleEpoch where another worker has the task by now."""
        with self.database.write() as tx:
            tasks.stand(tx, context.task)

    def _since(self, began: datetime) -> float:
        return round((self.database.clock.now() - began).total_seconds(), 3)

    def _not_taken(self, tx: Tx, task: Task, problem: Problem) -> None:
        """The builds of the cluster's instances wait for it, and fail with this."""
        address = addresses.lock(tx, task.cluster_id)
        if address is not None and not address.goes:
            address.message = " ".join(filter(None, (problem.message, problem.what_to_do)))
            address.become(State.FAILED)
            addresses.save(tx, address)

    def _not_moved(self, tx: Tx, task: Task, problem: Problem) -> None:
        address = addresses.find(tx.connection, task.cluster_id)
        if address is None or address.goes:
            return
        told = replace(problem, message=f"the address {address.addr} of the cluster was not moved: {problem.message}",
                       what_to_do=problem.what_to_do or "retry the operation")  # fmt: skip
        tx.emit(AddressMoveFailed(cluster_id=address.cluster_id, instance_id=address.wanted_id, problem=told,
                                  operation_id=task.operation_id))  # fmt: skip


def draft(kind: str, address: ClusterAddress, operation_id: str, cause: str, host: str = "") -> TaskDraft:
    """One task for each cause: two operations that want the same are both answered."""
    return TaskDraft(id=task_id(kind, address.cluster_id, cause), kind=kind, subject=subject_of(address.cluster_id),
                     cluster_id=address.cluster_id, operation_id=operation_id, host=host)  # fmt: skip


def subject_of(cluster_id: str) -> str:
    """What the tasks of a cluster's address are about."""
    return f"address:{cluster_id}"[:64]
