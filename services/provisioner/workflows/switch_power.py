"""Turns a wish to switch a server off, or on again, into one that its provider says is off (`instance.fenced`) or up.

A fence is a proof: another node may become the primary on the strength of it. So what was sent to the provider counts for
nothing; what counts is that the provider, asked afterwards, says by itself that the server does not run. Where it does not say
so in time, or cannot know, nothing was fenced, and `instance.power_failed` says why.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.provisioner.domain.instance import Instance, Status
from services.provisioner.providers.base import NoServer, ProviderError
from services.provisioner.providers.clouds import Clouds
from services.provisioner.store import instances
from shared.contracts.provisioner import InstanceFenced, InstancePowered, InstancePowerFailed
from shared.contracts.values import Problem
from shared.db import Database, Tx, tasks
from shared.errors import Conflict
from shared.workflow import Next, Outcome, Step, StepContext, Task, Wait, Workflow

FENCE, POWER_ON = "fence_instance", "power_on_instance"
# A primary that may still write is waited for by everybody: looked at often, and given up after a minute in all.
ASKED_SECONDS, SEEN_SECONDS = 20.0, 40.0
FIRST_PAUSE, LAST_PAUSE = 0.25, 2.0
# What a provider says of a server on which nothing can write.
AT_REST = ("SHUTOFF", "DELETED")
UNBUILT = (Status.REQUESTED, Status.BUILDING)
GOING = (Status.DELETING, Status.DELETED)


@dataclass(frozen=True)
class SwitchPower:
    """Two workflows over the clouds; `up_deadline` is how many seconds a server may take to come up again."""

    database: Database
    clouds: Clouds
    up_deadline: float = 600.0

    def fence_workflow(self) -> Workflow:
        """Switch off, then look until it is."""
        steps = (
            Step("power_off", self._power_off, deadline=ASKED_SECONDS, backoff=FIRST_PAUSE, backoff_cap=LAST_PAUSE),
            Step("see_off", self._see_off, deadline=SEEN_SECONDS, backoff=FIRST_PAUSE, backoff_cap=LAST_PAUSE),
        )
        return Workflow(FENCE, steps, on_failure=self._failed, on_cancelled=self._cancelled)

    def power_on_workflow(self) -> Workflow:
        """Switch on, then look until it runs and has its address."""
        steps = (
            Step("power_on", self._power_on, deadline=60, backoff=FIRST_PAUSE, backoff_cap=LAST_PAUSE),
            Step("wait_until_up", self._wait_until_up, deadline=self.up_deadline),
        )
        return Workflow(POWER_ON, steps, on_failure=self._failed, on_cancelled=self._cancelled)

    def _load(self, context: StepContext) -> Instance:
        with self.database.read() as connection:
            instance = instances.get(connection, context.task.payload["instance_id"])
        if instance.status in UNBUILT:
            raise Conflict(f"instance {instance.id} is still {instance.status}",
                           what_to_do="wait for its build, or delete it")  # fmt: skip
        return instance

    def _power_off(self, context: StepContext) -> Outcome:
        held = self._held(self._load(context))
        if held is None:
            return Next(message="there is no server")
        self._stand(context)
        try:
            self.clouds.of(held).power_off(held)
        except NoServer:
            return Next(message=f"server {held.server} is gone")
        return Next(message=f"server {held.server} was told to be off")

    def _see_off(self, context: StepContext) -> Outcome:
        instance = self._load(context)
        held = self._held(instance)
        if held is None:
            return self._fenced(context, instance, "DELETED")
        status, _ = self.clouds.of(held).update_status(held)
        if status in AT_REST:
            return self._fenced(context, instance, status)
        reason = f"the provider says {status}" + (f": {held.message}" if held.message else "")
        if self._age(context) > SEEN_SECONDS:
            raise ProviderError(f"{reason}, {SEEN_SECONDS:.0f} s after it was told to switch the server off")
        return self._look_again(context, instance, reason)

    def _fenced(self, context: StepContext, instance: Instance, status: str) -> Next:
        instance.server_status, instance.message = status, ""
        if instance.status == Status.ACTIVE:
            instance.become(Status.OFF)

        def save(tx: Tx) -> None:
            instances.save(tx, instance)
            tx.emit(
                InstanceFenced(instance_id=instance.id, cluster_id=instance.cluster_id,
                               operation_id=context.task.operation_id, server_status=status)
            )  # fmt: skip

        return Next(save=save, message=f"the server is off: its provider says {status}")

    def _power_on(self, context: StepContext) -> Outcome:
        instance = self._staying(context)
        with self.database.read() as connection:
            if instances.open_task(connection, self.database, FENCE, instance.id):
                return Wait(FIRST_PAUSE, "the server is being switched off first")
        self._stand(context)
        self.clouds.of(instance).power_on(instance)
        return Next(message=f"server {instance.server} was told to be on")

    def _wait_until_up(self, context: StepContext) -> Outcome:
        instance = self._staying(context)
        status, _ = self.clouds.of(instance).update_status(instance)
        if status == "ACTIVE" and instance.addr:
            return self._powered(context, instance)
        words = f": {instance.message}" if instance.message else ""
        if status in ("ERROR", "DELETED"):
            raise ProviderError(f"the provider ended the server in state {status}{words}",
                                what_to_do="replace the node by a new one")  # fmt: skip
        return self._look_again(context, instance, f"the server is {status}{words}")

    def _powered(self, context: StepContext, instance: Instance) -> Next:
        if instance.status == Status.OFF:
            instance.become(Status.ACTIVE)

        def save(tx: Tx) -> None:
            instances.save(tx, instance)
            tx.emit(
                InstancePowered(instance_id=instance.id, cluster_id=instance.cluster_id,
                                operation_id=context.task.operation_id, addr=instance.addr, reach=instance.reach)
            )  # fmt: skip

        return Next(save=save, message=f"the server runs at {instance.addr}")

    def _staying(self, context: StepContext) -> Instance:
        """The instance, unless it is on its way out: what is deleted is not switched on for that. Raises Conflict."""
        instance = self._load(context)
        if instance.status in GOING:
            raise Conflict(f"instance {instance.id} is {instance.status}", what_to_do="add a new node instead")
        return instance

    def _held(self, instance: Instance) -> Instance | None:
        """A copy with the id of its server, which a build that was cut short has not stored; None where there is no server.

        It is only looked for: a provider may take a question about a server without an id for a wish to have one.
        """
        if instance.status == Status.DELETED:
            return None
        if instance.server:
            return replace(instance)
        found = self.clouds.of(instance).find(instance.id)
        return None if found is None else replace(instance, server=found.id)

    def _stand(self, context: StepContext) -> None:
        """Raise StaleEpoch where another worker has the task by now: who stood still switches nothing that was settled since."""
        with self.database.write() as tx:
            tasks.stand(tx, context.task)

    def _look_again(self, context: StepContext, instance: Instance, reason: str) -> Wait:
        soonest = max(FIRST_PAUSE, self.clouds.of(instance).poll_seconds)
        return Wait(min(LAST_PAUSE, max(soonest, self._age(context) / 4)), reason)

    def _age(self, context: StepContext) -> float:
        return (self.database.clock.now() - context.task.step_started_at).total_seconds()

    def _cancelled(self, tx: Tx, task: Task) -> None:
        self._failed(
            tx, task, Problem(step=task.step, host=task.host, message="something else was wanted of it meanwhile")
        )

    def _failed(self, tx: Tx, task: Task, problem: Problem) -> None:
        wanted = "off" if task.kind == FENCE else "on"
        told = failure_of(wanted, task.host, problem)
        instance = instances.get(tx.connection, task.payload["instance_id"])
        if instance.status not in GOING:
            instance.message = told.message
            instances.save(tx, instance)
        tx.emit(
            InstancePowerFailed(instance_id=instance.id, cluster_id=instance.cluster_id, operation_id=task.operation_id,
                                wanted=wanted, problem=told)
        )  # fmt: skip


def failure_of(wanted: str, name: str, problem: Problem) -> Problem:
    """The problem in the words of whoever wanted the server off, or on: first what has not come about, then why."""
    if wanted == "off":
        return replace(
            problem,
            message=f"the server of {name} is not fenced: {problem.message}",
            what_to_do=problem.what_to_do or "see at the provider that the server is off, then ask again",
        )
    return replace(problem, message=f"the server of {name} could not be switched on: {problem.message}")
