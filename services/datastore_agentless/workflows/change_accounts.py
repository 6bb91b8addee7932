"""Turns wishes about databases and users into what the servers of a cluster have, and a list of all that they have then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.datastore_agentless.datastores.base.accounts import AccountKeeper
from services.datastore_agentless.domain.account import after
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.store import accounts, clusters, takeovers
from services.datastore_agentless.workflows.accounts_told import tell
from services.datastore_agentless.workflows.ending import ACCOUNTS, announce_failed, serve
from services.datastore_agentless.workflows.nodes_asked import members
from services.datastore_agentless.workflows.on_host import Hosts
from shared.contracts.accounts import Accounts
from shared.contracts.datastore_agentless import AccountsSeen
from shared.contracts.operations import OperationEnded
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Failure, Retryable
from shared.workflow import Next, Outcome, Step, StepContext, Task, Wait, Workflow

LOOK_SECONDS = 0.5
CHANGE_SECONDS = 120.0


@dataclass(frozen=True)
class ChangeAccounts:
    """One step, on the primary and then on the others; the task's subject is the cluster."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """What was changed before a failure or a cancel stays: each change is whole, and a retry finds it."""
        step = Step("change", self._change, deadline=CHANGE_SECONDS)
        return Workflow(ACCOUNTS, (step,), on_failure=_failed, on_cancelled=_cancelled)

    def _change(self, context: StepContext) -> Outcome:
        cluster, primary, others = self._whom(context)
        if self._moves(context):
            return Wait(LOOK_SECONDS, "another node is about to become the primary")
        keeper = keeper_of(self.hosts, primary)
        with self.hosts.database.read() as connection:
            changes = accounts.wished(connection, context.task.operation_id) or []
            before = accounts.seen(connection, cluster.id)
        for change in changes:
            self.hosts.run(context, primary, keeper.change(primary, change))
        tell(self.hosts, context, primary, others, changes)
        at = self.hosts.database.clock.now()
        listed = self.hosts.run(context, primary, keeper.look(primary, after(before, changes)))
        if self._moves(context) or self._whom(context)[1].id != primary.id:
            # What an asynchronous replica has not received would be lost with the old primary.
            raise Retryable("another node has become the primary meanwhile")
        assert isinstance(listed, Accounts)

        def save(tx: Tx) -> None:
            self._save(tx, context.task, listed, at)

        return Next(save=save, message=f"{len(listed.databases)} databases, {len(listed.users)} users")

    def _save(self, tx: Tx, task: Task, listed: Accounts, at: datetime) -> None:
        cluster = clusters.lock(tx, task.cluster_id)
        if cluster is None:
            return
        accounts.keep(tx, cluster.id, listed)
        accounts.done(tx, task.operation_id)
        fresh = cluster.status != ClusterStatus.ACTIVE
        # Of a cluster that is being made, another event is the end of the operation.
        tx.emit(AccountsSeen(cluster_id=cluster.id, operation_id="" if fresh else task.operation_id, accounts=listed,
                             seen_at=at))  # fmt: skip
        if fresh:
            nodes = clusters.instances(tx.connection, cluster.id)
            serve(tx, task.operation_id, cluster, nodes, self.hosts.manager(nodes[0]))

    def _whom(self, context: StepContext) -> tuple[Cluster, Instance, list[Instance]]:
        """The cluster, its primary, and the others that serve. Raises Retryable while the primary does not."""
        cluster, nodes = members(self.hosts, context)
        primary = next((node for node in nodes if cluster.leads(node.id)), None)
        if primary is None:
            raise Retryable(f"cluster {cluster.name} has no primary that serves")
        return cluster, primary, [node for node in nodes if node is not primary]

    def _moves(self, context: StepContext) -> bool:
        with self.hosts.database.read() as connection:
            return takeovers.under_way(connection, context.task.cluster_id) is not None


def keeper_of(hosts: Hosts, node: Instance) -> AccountKeeper:
    """Who keeps the accounts of a node's cluster. Raises Failure where nobody does."""
    manager = hosts.manager(node)
    if manager.accounts is None:
        raise Failure(f"{manager.datastore.name} has no accounts that DTrove keeps",
                      what_to_do="use the database's own client, with the administrator's login")  # fmt: skip
    return manager.accounts


def _failed(tx: Tx, task: Task, problem: Problem) -> None:
    """The wishes are kept for a retry."""
    cluster = clusters.lock(tx, task.cluster_id)
    if cluster is not None and cluster.status != ClusterStatus.ACTIVE:
        announce_failed(tx, cluster, task.operation_id, problem)
        return
    tx.emit(
        OperationEnded(operation_id=task.operation_id, cluster_id=task.cluster_id, status="failed", problem=problem)
    )


def _cancelled(tx: Tx, task: Task) -> None:
    accounts.done(tx, task.operation_id)
    tx.emit(OperationEnded(operation_id=task.operation_id, cluster_id=task.cluster_id, status="cancelled"))
