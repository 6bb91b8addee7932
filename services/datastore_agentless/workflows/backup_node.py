"""Turns a wish for a backup into a run of the manager's own `backup` on a node."""

from __future__ import annotations

from dataclasses import dataclass

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
        return Workflow("backup_node", (Step("backup", self._backup, deadline=6 * 3600),), on_failure=self._failed)

    def _backup(self, context: StepContext) -> Outcome:
        instance = self.hosts.instance(context)
        task = context.task
        self.hosts.run(context, instance, self.hosts.manager(instance).backup(instance))

        def save(tx: Tx) -> None:
            tx.emit(
                BackupCompleted(
                    backup_id=task.payload["backup_id"], cluster_id=task.cluster_id, operation_id=task.operation_id,
                    instance_id=instance.id,
                )
            )  # fmt: skip

        return Next(save=save, message="the backup ran")

    def _failed(self, tx: Tx, task: Task, problem: Problem) -> None:
        tx.emit(
            BackupFailed(
                backup_id=task.payload["backup_id"], cluster_id=task.cluster_id, operation_id=task.operation_id,
                problem=problem,
            )
        )  # fmt: skip
