"""Turns a wish for other data into those of a backup, on the primary of a cluster that serves; what was there before is kept beside them.

The cluster serves its own data until the others lie whole beside them. Then its engine is stopped, the two change places by renaming,
and it is started again. Whatever fails before it serves has them change places once more.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import cast

from services.datastore_agentless.datastores.base.aside import FORMER, RESTORED, UNDONE
from services.datastore_agentless.datastores.base.dumping import GB
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.restore import KEPT_FOR, Restore, State
from services.datastore_agentless.hosts.base import HostUnreachable, Run, Script
from services.datastore_agentless.hosts.jobs import JobFolder
from services.datastore_agentless.store import clusters, restores
from services.datastore_agentless.workflows.exchanging import EXCHANGE_SECONDS, SERVE_SECONDS, Exchanging, ids
from services.datastore_agentless.workflows.holding import let_go, make_anew
from services.datastore_agentless.workflows.keeping import RESTORE, STEP_SECONDS, Keeping
from services.datastore_agentless.workflows.log_replays import LogReplays
from services.datastore_agentless.workflows.restoring import Restoring, Wanted
from shared.contracts.operations import OperationEnded
from shared.contracts.restores import ClusterRestored
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Failure
from shared.workflow import Next, Outcome, Step, StepContext, Task, Wait, Workflow

# What a restore that has come to nothing may leave beside the data.
HALF = (RESTORED, "restoring*", "log")


@dataclass(frozen=True)
class RestoreInPlace:
    """The steps; the task's subject is the cluster's restores, so that whoever has to save the cluster does not wait for one."""

    keeping: Keeping

    def workflow(self) -> Workflow:
        """Steps in order. What was done is undone from its end: the data change places again, then what was fetched is dropped."""
        both = self._both
        steps = (
            Step("choose", self._choose, deadline=600),
            Step("fetch", self._fetch, self._drop, deadline=STEP_SECONDS),
            Step("hold", both.hold, both.let_go, deadline=600),
            Step("exchange", self._exchange, self._put_back, deadline=EXCHANGE_SECONDS),
            Step("start", self._start, deadline=SERVE_SECONDS),
            Step("serve", self._serve, deadline=SERVE_SECONDS),
        )
        return Workflow(RESTORE, steps, on_failure=_failed, on_cancelled=_cancelled, undo_on_failure=True)

    @property
    def _both(self) -> Exchanging:
        return Exchanging(self.keeping)

    def _choose(self, context: StepContext) -> Outcome:
        """The primary. Raises Failure where the other data have no room beside its own, or others lie there already."""
        entry, sources = self._both.entry(context), self.keeping.sources
        node, taken = sources.choose(sources.scene(context.task.cluster_id), from_primary=True)
        with self.keeping.hosts.database.read() as connection:
            other = restores.of_cluster(connection, entry.cluster_id)
        if other is not None:
            raise Failure(
                "what was there before another restore is kept yet", what_to_do="confirm or undo that one first"
            )
        hosts, aside = self.keeping.hosts, self._both.aside(node)
        if entry.taken == taken and hosts.run(context, node, aside.lies_there(node)):
            # An earlier attempt could not be taken back, for the node did not answer.
            hosts.run(context, node, aside.exchange(node, comes=FORMER, goes=RESTORED))
            hosts.run(context, node, aside.serve(node))
        hosts.run(context, node, aside.drop(node, *HALF, UNDONE))
        self._see_room(context, entry, node)

        def save(tx: Tx) -> None:
            cluster = clusters.lock(tx, entry.cluster_id)
            kept = restores.get(tx.connection, entry.operation_id)
            kept.become(State.COMING)
            kept.taken, kept.beginnings = taken, kept.beginnings + 1
            kept.former = cluster.history if cluster is not None else ""
            restores.save(tx, kept)

        return Next(save=save, message=f"the data go to {node.name}, beside its own")

    def _see_room(self, context: StepContext, entry: Restore, node: Instance) -> None:
        hosts, restoring = self.keeping.hosts, Restoring(self.keeping)
        if hosts.run(context, node, self._both.aside(node).lies_there(node)):
            raise Failure(f"{node.name} has data that were set aside, and nobody knows by whom",
                          what_to_do="look at what lies beside its data, and remove what is called `former` there")  # fmt: skip
        chain = restoring.chain(node, _wanted(entry))
        sizes = [int(one.manifest["size_bytes"]) for one in chain]
        needed = sizes[0] + max(sizes[1:], default=0)
        if entry.moment is not None:
            needed += LogReplays(self.keeping).room(node, chain, entry.moment)
        room = cast("int", hosts.run(context, node, self.keeping.dumping(node).room(node)))
        if room < needed:
            raise Failure(f"{node.name} has room for {room / GB:.1f} GB beside its data, and what comes needs {needed / GB:.1f} GB: "
                          "what is there now is kept until the restore is confirmed",
                          what_to_do="make the cluster's volumes larger first, or restore to a new cluster")  # fmt: skip

    def _fetch(self, context: StepContext) -> Outcome:
        """Have them whole beside those that serve, which serve all the while."""
        entry = self._both.entry(context)
        stays = partial(self.keeping.sources.present, entry.cluster_id, entry.taken)
        node = stays()
        message = Restoring(self.keeping).bring(context, node, _wanted(entry), stays)
        if entry.moment is not None:
            LogReplays(self.keeping).forget(context, node)
        return Next(message=message)

    def _exchange(self, context: StepContext) -> Outcome:
        entry, node, aside = self._both.held(context)
        hosts = self.keeping.hosts
        hosts.run(context, node, aside.exchange(node, comes=RESTORED, goes=FORMER))
        if not hosts.run(context, node, aside.lies_there(node)):
            raise Failure(f"the data that were fetched to {node.name} are not there any more",
                          what_to_do="retry the operation: it begins anew")  # fmt: skip
        return Next(message=f"{node.name} has the data of backup {entry.backup_id}")

    def _start(self, context: StepContext) -> Outcome:
        """Begin on them, and see that they are written to."""
        _, node, aside = self._both.held(context)
        self.keeping.hosts.run(context, node, aside.serve(node, fresh=True))
        return Next(message=f"{node.name} runs")

    def _serve(self, context: StepContext) -> Outcome:
        """From here on what was there before is kept until somebody says otherwise."""
        entry, node, _ = self._both.held(context)
        looked = self._both.looked(context, node)
        if isinstance(looked, Wait):
            return looked

        def save(tx: Tx) -> None:
            cluster = let_go(tx, entry.operation_id, entry.operation_id, entry.operation_id)
            if cluster is None:
                return
            kept = restores.get(tx.connection, entry.operation_id)
            kept.become(State.KEPT)
            kept.purge_at = tx.database.clock.now() + KEPT_FOR
            restores.save(tx, kept)
            looked(tx)
            make_anew(tx, cluster)
            tx.emit(ClusterRestored(**ids(kept), operation_id=entry.operation_id, backup_id=entry.backup_id, time=entry.moment,
                                    instance_id=node.id, purge_at=kept.purge_at))  # fmt: skip

        return Next(save=save, message=f"{node.name} serves; what was there before is kept beside it")

    def _put_back(self, context: StepContext) -> Outcome:
        return self._both.put_back(context, comes=FORMER, goes=RESTORED)

    def _drop(self, context: StepContext) -> Outcome:
        """Keep nothing of what was fetched. Of a node that does not answer it goes with the next attempt."""
        entry, node, hosts = self._both.entry(context), self._both.whom(context), self.keeping.hosts
        if node is None:
            return Next()
        names = [entry.job]
        if entry.moment is not None:
            with suppress(Failure):
                chain = Restoring(self.keeping).chain(node, _wanted(entry))
                names += LogReplays(self.keeping).jobs(node, chain, entry.moment, entry.job)
        with suppress(HostUnreachable):
            for name in names:
                hosts.run(context, node, _end_job(JobFolder(f"{context.task.id}-{name}")))
            hosts.run(context, node, self._both.aside(node).drop(node, *HALF))
        return Next(message="nothing is kept of what was fetched")


def _wanted(entry: Restore) -> Wanted:
    return Wanted(entry.backup_id, entry.project_id, entry.moment, entry.job)


def _end_job(job: JobFolder) -> Script:
    yield Run(job.stop(), title="end what fetches the data", timeout=60)


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    _end(tx, task, "failed", problem)


def _cancelled(tx: Tx, task: Task) -> None:
    _end(tx, task, "cancelled", None)


def _end(tx: Tx, task: Task, status: str, problem: Problem | None) -> None:
    """Where it could not be taken back, the watch is the one to mend what it finds."""
    restore_id = task.payload["restore_id"]
    let_go(tx, restore_id, task.operation_id)
    entry = restores.get(tx.connection, restore_id)
    entry.become(State.ENDED)
    restores.save(tx, entry)
    tx.emit(OperationEnded(operation_id=task.operation_id, cluster_id=task.cluster_id, status=status, problem=problem))
