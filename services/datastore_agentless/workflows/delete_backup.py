"""Turns a backup that nobody wants any more into nothing: what its store keeps of it is removed."""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.domain.backup import State
from services.datastore_agentless.store import backups
from services.datastore_agentless.workflows.keeping import DELETE, Keeping, lock
from shared.contracts.backups import BackupDeleted, BackupDeleteFailed
from shared.contracts.values import Problem
from shared.db import Tx
from shared.secrets import Secret
from shared.workflow import Next, Outcome, Step, StepContext, Task, Wait, Workflow

LOOK_SECONDS = 1.0
# A store may be away for an evening; nobody waits for this.
REMOVE_SECONDS = 12 * 3600.0


@dataclass(frozen=True)
class DeleteBackup:
    """The steps."""

    keeping: Keeping

    def workflow(self) -> Workflow:
        """Whatever becomes of it, the backup is offered to nobody any more; it can be deleted again."""
        steps = (
            Step("stop", self._stop, deadline=1800),
            Step("remove", self._remove, deadline=REMOVE_SECONDS, backoff=2.0, backoff_cap=600.0),
        )
        return Workflow(DELETE, steps, on_failure=_failed, on_cancelled=_cancelled)

    def _stop(self, context: StepContext) -> Outcome:
        """Wait for the end of what makes it, which was told to stop."""
        backup = self.keeping.backup(context.task.payload["backup_id"])
        if backup.state == State.MAKING:
            return Wait(LOOK_SECONDS, "the backup is still being made, and is told to stop")

        def save(tx: Tx) -> None:
            kept = lock(tx, backup.id)
            if kept.state != State.DELETED:
                kept.become(State.DELETING)
                backups.save(tx, kept)

        return Next(save=save)

    def _remove(self, context: StepContext) -> Outcome:
        backup = self.keeping.backup(context.task.payload["backup_id"])
        self.keeping.drop(backup)

        def save(tx: Tx) -> None:
            kept = lock(tx, backup.id)
            kept.become(State.DELETED)
            kept.token, kept.manifest = Secret(""), {}
            backups.save(tx, kept)
            tx.emit(
                BackupDeleted(backup_id=kept.id, cluster_id=kept.cluster_id, operation_id=context.task.operation_id)
            )

        return Next(save=save, message="nothing is kept of it")


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    tx.emit(BackupDeleteFailed(backup_id=task.payload["backup_id"], cluster_id=task.cluster_id,
                               operation_id=task.operation_id, problem=problem))  # fmt: skip


def _cancelled(tx: Tx, task: Task) -> None:
    _failed(tx, task, Problem(step="remove", message="cancelled", what_to_do="delete the backup again"))
