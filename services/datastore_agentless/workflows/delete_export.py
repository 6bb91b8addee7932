"""Turns an export that nobody wants any more into nothing: what its store keeps of it is removed, and its key with it."""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.domain.backup import State
from services.datastore_agentless.domain.export import Export
from services.datastore_agentless.store import exports
from services.datastore_agentless.workflows.delete_backup import LOOK_SECONDS, REMOVE_SECONDS
from services.datastore_agentless.workflows.keeping import DELETE_EXPORT, Keeping
from shared.contracts.exports import ExportDeleted, ExportDeleteFailed
from shared.contracts.values import Problem
from shared.db import Tx
from shared.secrets import Secret
from shared.workflow import Next, Outcome, Step, StepContext, Task, Wait, Workflow


@dataclass(frozen=True)
class DeleteExport:
    """The steps."""

    keeping: Keeping

    def workflow(self) -> Workflow:
        """Whatever becomes of it, the export is handed out to nobody any more; it can be deleted again."""
        steps = (
            Step("stop", self._stop, deadline=1800),
            Step("remove", self._remove, deadline=REMOVE_SECONDS, backoff=2.0, backoff_cap=600.0),
        )
        return Workflow(DELETE_EXPORT, steps, on_failure=_failed, on_cancelled=_cancelled)

    def _stop(self, context: StepContext) -> Outcome:
        """Wait for the end of what makes it, which was told to stop."""
        export = self._export(context)
        if export.state == State.MAKING:
            return Wait(LOOK_SECONDS, "the export is still being made, and is told to stop")

        def save(tx: Tx) -> None:
            kept = exports.lock(tx, export.id)
            if kept.state != State.DELETED:
                kept.become(State.DELETING)
                exports.save(tx, kept)

        return Next(save=save)

    def _remove(self, context: StepContext) -> Outcome:
        export = self._export(context)
        self.keeping.drop_export(export)

        def save(tx: Tx) -> None:
            kept = exports.lock(tx, export.id)
            kept.become(State.DELETED)
            kept.token, kept.identity, kept.manifest = Secret(""), Secret(""), {}
            exports.save(tx, kept)
            tx.emit(
                ExportDeleted(export_id=kept.id, cluster_id=kept.cluster_id, operation_id=context.task.operation_id)
            )

        return Next(save=save, message="nothing is kept of it")

    def _export(self, context: StepContext) -> Export:
        with self.keeping.hosts.database.read() as connection:
            return exports.get(connection, context.task.payload["export_id"])


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    tx.emit(ExportDeleteFailed(export_id=task.payload["export_id"], cluster_id=task.cluster_id,
                               operation_id=task.operation_id, problem=problem))  # fmt: skip


def _cancelled(tx: Tx, task: Task) -> None:
    _failed(tx, task, Problem(step="remove", message="cancelled", what_to_do="delete the export again"))
