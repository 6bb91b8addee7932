"""Turns a wish for a backup into a run of the manager's own `backup` on a node, where DTrove itself knows no way."""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.domain.backup import State
from services.datastore_agentless.store import backups
from services.datastore_agentless.workflows.keeping import BACKUP
from services.datastore_agentless.workflows.on_host import Hosts
from shared.contracts.backups import BackupCompleted, BackupFailed
from shared.contracts.values import Problem
from shared.db import Tx
from shared.workflow import Next, Outcome, Step, StepContext, Task, Workflow


@dataclass(frozen=True)
class BackupNode:
    """The steps."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """One step: what it does is the manager's business."""
        return Workflow(BACKUP, (Step("backup", self._backup, deadline=6 * 3600),), on_failure=announce_failed,
                        on_cancelled=announce_cancelled)  # fmt: skip

    def _backup(self, context: StepContext) -> Outcome:
        instance = self.hosts.instance(context)
        task = context.task
        self.hosts.run(context, instance, self.hosts.manager(instance).backup(instance))

        def save(tx: Tx) -> None:
            backup_id = task.payload["backup_id"]
            ids = {"backup_id": backup_id, "cluster_id": task.cluster_id, "operation_id": task.operation_id}
            # A release that kept no catalogue may have filed it.
            backup = backups.lock(tx, backup_id)
            if backup is not None:
                # Where it failed before, it was made anew.
                backup.become(State.MAKING)
                backup.become(State.COMPLETED)
                backup.ended_at = tx.database.clock.now()
                backups.save(tx, backup)
                ids |= {"project_id": backup.project_id, "schedule_id": backup.schedule_id}
            tx.emit(BackupCompleted(instance_id=instance.id, **ids))

        return Next(save=save, message="the backup ran")


def announce_failed(tx: Tx, task: Task, problem: Problem) -> None:
    """A backup could not be made."""
    _end(tx, task, problem, cancelled=False)


def announce_cancelled(tx: Tx, task: Task) -> None:
    """A backup is not wanted any more, and nothing is left of it."""
    _end(tx, task, Problem(step="backup", message="cancelled", host=task.host), cancelled=True)


def _end(tx: Tx, task: Task, problem: Problem, *, cancelled: bool) -> None:
    backup = backups.lock(tx, task.payload["backup_id"])
    if backup is not None and backup.state == State.MAKING:
        backup.become(State.FAILED)
        backup.manifest = {}
        backups.save(tx, backup)
    tx.emit(BackupFailed(backup_id=task.payload["backup_id"], cluster_id=task.cluster_id, operation_id=task.operation_id,
                         problem=problem, cancelled=cancelled))  # fmt: skip
