"""Turns an administrator's wish to log in to an instance into a key that it lets in for a while, and out again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.authorized_keys import admit, shut_out
from services.datastore_agentless.hosts.base import Target
from services.datastore_agentless.hosts.simulated import is_simulated
from services.datastore_agentless.workflows.on_host import Hosts
from shared.contracts.datastore_agentless import AccessFailed, AccessGranted, AccessRevoked
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Failure
from shared.workflow import Next, Outcome, Step, StepContext, Task, Workflow

GRANT, REVOKE = "grant_access", "revoke_access"
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class OpenAccess:
    """Both workflows; they work on a host beside whatever else is done there, and never two of them at once."""

    hosts: Hosts

    def grant(self) -> Workflow:
        """One step: the key is let in."""
        return self._workflow(GRANT, self._grant)

    def revoke(self) -> Workflow:
        """One step: the key is shut out."""
        return self._workflow(REVOKE, self._revoke)

    def _workflow(self, name: str, run: Callable[[StepContext], Outcome]) -> Workflow:
        step = Step(name, run, deadline=PATIENCE_SECONDS)
        return Workflow(name, (step,), on_failure=_failed, on_cancelled=_cancelled)

    def _grant(self, context: StepContext) -> Outcome:
        instance, task = self.hosts.instance(context), context.task
        target = self.hosts.target(instance)
        self._refuse(instance, target)
        minutes = int(task.payload["minutes"])
        script = admit(instance.user, task.payload["public_key"], minutes, task.operation_id)
        self.hosts.run(context, instance, script)

        def save(tx: Tx) -> None:
            tx.emit(
                AccessGranted(
                    operation_id=task.operation_id, cluster_id=task.cluster_id, instance_id=instance.id,
                    host=target.addr, port=target.port, user=instance.user,
                    host_keys=tuple(line for line in target.known_host.splitlines() if line.strip()),
                    expires_at=tx.database.clock.now() + timedelta(minutes=minutes), jump=_words(target.jump),
                )
            )  # fmt: skip

        return Next(save=save, message=f"open for {minutes} min")

    def _revoke(self, context: StepContext) -> Outcome:
        instance, task = self.hosts.instance(context), context.task
        access = task.payload["access"]
        self.hosts.run(context, instance, shut_out(instance.user, access))

        def save(tx: Tx) -> None:
            tx.emit(AccessRevoked(operation_id=task.operation_id, cluster_id=task.cluster_id, instance_id=instance.id,
                                  access=access))  # fmt: skip

        return Next(save=save, message="shut")

    def _refuse(self, instance: Instance, target: Target) -> None:
        """Raise Failure where a login at the instance's address is no login on the instance."""
        if self.hosts.through_console:
            raise Failure(
                f"instance {instance.name} is reached through the console of its compute host (DTROVE_PREFIX): a login "
                "there is no login on the instance", what_to_do="use `dtrove instance perform`",
            )  # fmt: skip
        if is_simulated(target.addr):
            raise Failure(f"instance {instance.name} is a simulated host: there is nothing to log in to",
                          what_to_do="use another provider than `fake`")  # fmt: skip


def _words(jump: Target | None) -> str:
    return f"{jump.user}@{jump.addr}:{jump.port}" if jump else ""


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    tx.emit(_end(task, problem, cancelled=False))


def _cancelled(tx: Tx, task: Task) -> None:
    tx.emit(_end(task, Problem(step=task.kind, message="cancelled", host=task.host), cancelled=True))


def _end(task: Task, problem: Problem, *, cancelled: bool) -> AccessFailed:
    return AccessFailed(operation_id=task.operation_id, cluster_id=task.cluster_id, problem=problem,
                        instance_id=task.payload["instance_id"], cancelled=cancelled)  # fmt: skip
