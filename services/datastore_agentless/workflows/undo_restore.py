"""Turns what a restore in place has set aside back into the data of a cluster, or into nothing: its undoing, and its confirmation."""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.datastores.base.aside import FORMER, UNDONE
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.restore import Restore, State
from services.datastore_agentless.store import clusters, restores
from services.datastore_agentless.workflows.exchanging import EXCHANGE_SECONDS, SERVE_SECONDS, Exchanging, ids
from services.datastore_agentless.workflows.holding import let_go, make_anew
from services.datastore_agentless.workflows.keeping import DROP, UNDO, Keeping
from shared.contracts.operations import OperationEnded
from shared.contracts.restores import ClusterRestoreConfirmed, ClusterRestoreUndone
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Failure
from shared.workflow import Next, Outcome, Step, StepContext, Task, TaskDraft, Wait, Workflow, task_id

# A host that does not answer may be away for so long.
DROP_SECONDS = 24 * 3600.0
_FORMER_GONE = "restore another backup, or the one that was made before"


@dataclass(frozen=True)
class UndoRestore:
    """Two workflows about the node on which data were set aside; the tasks' subject is the cluster's restores."""

    keeping: Keeping

    def undo(self) -> Workflow:
        """The data of before are put in their place; what has served meanwhile goes only once they serve."""
        both = self._both
        steps = (
            Step("look", self._look, deadline=600),
            Step("hold", both.hold, both.let_go, deadline=600),
            Step("exchange", self._exchange, self._put_back, deadline=EXCHANGE_SECONDS),
            Step("start", both.start, deadline=SERVE_SECONDS),
            Step("serve", self._serve, deadline=SERVE_SECONDS),
        )
        return Workflow(UNDO, steps, on_failure=_failed, on_cancelled=_cancelled, undo_on_failure=True)

    def drop(self) -> Workflow:
        """What is beside the data goes. There is no way back from here, only on."""
        return Workflow(
            DROP, (Step("drop", self._drop, deadline=DROP_SECONDS),), on_failure=_not_dropped, on_cancelled=_stopped
        )

    @property
    def _both(self) -> Exchanging:
        return Exchanging(self.keeping)

    def _look(self, context: StepContext) -> Outcome:
        """See that they lie there, on the node that leads: nobody else's engine is stopped for it."""
        entry, node, aside = self._both.held(context)
        self.keeping.sources.present(entry.cluster_id, entry.taken)
        if not self.keeping.hosts.run(context, node, aside.lies_there(node)):
            raise Failure(f"what was there before is not on {node.name} any more", what_to_do=_FORMER_GONE)

        def save(tx: Tx) -> None:
            clusters.lock(tx, entry.cluster_id)
            kept = restores.get(tx.connection, entry.operation_id)
            kept.become(State.UNDOING)
            restores.save(tx, kept)

        return Next(save=save, message=f"what was there before lies on {node.name}")

    def _exchange(self, context: StepContext) -> Outcome:
        _, node, aside = self._both.held(context)
        hosts = self.keeping.hosts
        hosts.run(context, node, aside.exchange(node, comes=FORMER, goes=UNDONE))
        if hosts.run(context, node, aside.lies_there(node)):
            raise Failure(
                f"the data of {node.name} did not change places", what_to_do="look at what lies beside its data"
            )
        return Next(message=f"{node.name} has the data of before")

    def _serve(self, context: StepContext) -> Outcome:
        entry, node, _ = self._both.held(context)
        looked, operation_id = self._both.looked(context, node), context.task.operation_id
        if isinstance(looked, Wait):
            return looked

        def save(tx: Tx) -> None:
            cluster = let_go(tx, entry.operation_id, operation_id, entry.former)
            if cluster is None:
                return
            kept = restores.get(tx.connection, entry.operation_id)
            kept.become(State.ENDED)
            restores.save(tx, kept)
            looked(tx)
            make_anew(tx, cluster)
            tx.emit(ClusterRestoreUndone(**ids(kept), operation_id=operation_id))
            file_drop(tx, kept, node, operation_id, UNDONE)

        return Next(save=save, message=f"{node.name} serves what was there before")

    def _put_back(self, context: StepContext) -> Outcome:
        return self._both.put_back(context, comes=UNDONE, goes=FORMER)

    def _drop(self, context: StepContext) -> Outcome:
        """A node that is gone has taken it along."""
        entry, node = self._both.entry(context), self._both.whom(context)
        if node is not None:
            self.keeping.hosts.run(context, node, self._both.aside(node).drop(node, context.task.payload["name"]))

        def save(tx: Tx) -> None:
            _dropped(tx, context.task)

        return Next(save=save, message=f"nothing is left of what was beside the data of cluster {entry.cluster_id}")


def file_drop(tx: Tx, entry: Restore, node: Instance, operation_id: str, name: str) -> None:
    """Have what has this name beside a node's data go, under an operation that ends with it."""
    tx.file(TaskDraft(
        id=task_id(DROP, operation_id), kind=DROP, subject=subject(entry.cluster_id), cluster_id=entry.cluster_id,
        operation_id=operation_id, payload={"restore_id": entry.operation_id, "instance_id": node.id, "name": name}, host=node.name,
    ))  # fmt: skip


def subject(cluster_id: str) -> str:
    """What only one task may work on at a time: what lies beside a cluster's data."""
    return task_id("restore", cluster_id)


def _dropped(tx: Tx, task: Task) -> None:
    clusters.lock(tx, task.cluster_id)
    entry = restores.get(tx.connection, task.payload["restore_id"])
    if entry.state == State.DROPPING:
        entry.become(State.ENDED)
        restores.save(tx, entry)
        tx.emit(ClusterRestoreConfirmed(**ids(entry), operation_id=task.operation_id))
        return
    tx.emit(OperationEnded(operation_id=task.operation_id, cluster_id=task.cluster_id, status="succeeded"))


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    _kept(tx, task, "failed", problem)


def _cancelled(tx: Tx, task: Task) -> None:
    _kept(tx, task, "cancelled", None)


def _kept(tx: Tx, task: Task, status: str, problem: Problem | None) -> None:
    """It is not undone: what was there before is kept on."""
    restore_id = task.payload["restore_id"]
    let_go(tx, restore_id, task.operation_id)
    entry = restores.get(tx.connection, restore_id)
    if entry.state == State.UNDOING:
        entry.become(State.KEPT)
        restores.save(tx, entry)
    tx.emit(OperationEnded(operation_id=task.operation_id, cluster_id=task.cluster_id, status=status, problem=problem))


def _not_dropped(tx: Tx, task: Task, problem: Problem) -> None:
    tx.emit(
        OperationEnded(operation_id=task.operation_id, cluster_id=task.cluster_id, status="failed", problem=problem)
    )


def _stopped(tx: Tx, task: Task) -> None:
    tx.emit(OperationEnded(operation_id=task.operation_id, cluster_id=task.cluster_id, status="cancelled"))
