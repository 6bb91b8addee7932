"""Turns a replica into the primary of its cluster, and has all others follow it. There is no way back from here, only on.

The old primary takes no writes by now: it is frozen, or its server is off. Whoever cannot be asked is apart from now on: it comes
back with the new primary's data in place of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.datastores.base import BaseManager, succession
from services.datastore_agentless.datastores.base.topology import STREAMS
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.takeover import Kind, State, Takeover
from services.datastore_agentless.hosts.base import CommandFailed, HostKeyChanged, HostUnreachable
from services.datastore_agentless.store import clusters, takeovers
from services.datastore_agentless.workflows.ending import endpoint
from services.datastore_agentless.workflows.leading import lead
from services.datastore_agentless.workflows.nodes_asked import age, ask, members, topology_of
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.returning import bring_back, bring_back_anew
from services.datastore_agentless.workflows.rolling import goes_on
from shared.contracts.base import load
from shared.contracts.datastore_agentless import PrimaryChanged
from shared.contracts.operations import OperationEnded
from shared.contracts.values import Problem
from shared.db import Tx
from shared.errors import Failure
from shared.workflow import Next, Outcome, Step, StepContext, Task, TaskDraft, Wait, Workflow, task_id

TAKE_OVER, ADDRESS = "take_over", "address"
ADMITTED = (Status.PREPARED, Status.READY, Status.APART, Status.FAILED)
LOOK_SECONDS = 0.25
# Longer than an outage that no operation may fail for.
PROOF_SECONDS = 90.0
# Whoever may have been promoted without a word of it is not passed over for another: it is waited for.
PROMOTE_SECONDS = 24 * 3600.0
# The provisioner gives up before.
ANSWER_SECONDS = 3600.0
# How long a node that answers may take until it follows; longer, and it comes back as one that is apart.
FOLLOW_SECONDS = 60.0


@dataclass(frozen=True)
class TakeOver:
    """The second half of every takeover."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """Steps in order; the task's subject is the cluster."""
        steps = (
            Step("choose", self._choose, deadline=PROOF_SECONDS, backoff_cap=2),
            Step("promote", self._promote, deadline=PROMOTE_SECONDS),
            Step("rewire", self._rewire, deadline=600),
            Step("protect", self._protect, deadline=600),
            Step(ADDRESS, self._address, deadline=ANSWER_SECONDS),
        )
        return Workflow(TAKE_OVER, steps, on_failure=failed, on_cancelled=cancelled)

    def _choose(self, context: StepContext) -> Outcome:
        """After a failover's fence, when nothing more can be received: the replica that has most."""
        takeover, former, nodes = self._whom(context)
        if takeover.chosen_id:
            return Next()
        cluster, _ = members(self.hosts, context)
        testimonies = ask(self.hosts, context, [node for node in nodes if node.id != former.id], former)
        chosen = succession.heir(testimonies, cluster.mode, takeover.wanted_id, accept_loss=takeover.accept_loss)

        def save(tx: Tx) -> None:
            takeover.chosen_id = chosen.node.id
            takeover.evidence["choose"] = {one.node.id: one.told() for one in testimonies}
            takeovers.save(tx, takeover)

        return Next(save=save, message=f"{chosen.node.name} has received most")

    def _promote(self, context: StepContext) -> Outcome:
        """Have it take writes, and say so at once: the endpoint follows."""
        takeover, former, _ = self._whom(context)
        chosen = self._chosen(takeover)
        manager = self.hosts.manager(chosen)
        topology = topology_of(self.hosts, chosen)
        self.hosts.run(context, chosen, topology.promote(chosen))
        for node in self._to_admit(chosen):
            self.hosts.run(context, chosen, topology.admit(chosen, node))

        def save(tx: Tx) -> None:
            cluster = clusters.lock(tx, takeover.cluster_id)
            if cluster is None:
                return
            cluster.primary_id = chosen.id
            clusters.save_cluster(tx, cluster)
            if takeover.kind == Kind.FAILOVER:
                clusters.change_instance(tx, former, status=Status.APART)
            lead(tx, cluster, takeover.operation_id)
            _announce(tx, takeover, cluster, manager)

        return Next(save=save, message=f"{chosen.name} takes writes")

    def _rewire(self, context: StepContext) -> Outcome:
        """Have every other node follow it; who cannot be asked is left apart."""
        takeover, _, nodes = self._whom(context)
        chosen = self._chosen(takeover)
        apart: list[tuple[Instance, str]] = []
        for node in nodes:
            if node.id == chosen.id:
                continue
            try:
                lacks = self._follow(context, takeover, node, chosen)
            except (HostUnreachable, HostKeyChanged, CommandFailed) as error:
                apart.append((node, error.message))
                continue
            if lacks != STREAMS and age(self.hosts, context) < FOLLOW_SECONDS:
                return Wait(LOOK_SECONDS, f"{node.name} does not follow {chosen.name} yet: {lacks}")
            if lacks != STREAMS:
                apart.append((node, lacks))

        def save(tx: Tx) -> None:
            for node, _ in apart:
                clusters.change_instance(tx, node, status=Status.APART)
            # What became of the address may have been told meanwhile.
            clusters.lock(tx, takeover.cluster_id)
            present = takeovers.get(tx.connection, takeover.operation_id)
            present.evidence["rewire"] = {node.id: {"name": node.name, "trouble": why} for node, why in apart}
            takeovers.save(tx, present)

        names = " and ".join(node.name for node, _ in apart)
        return Next(
            save=save, message=f"{names} could not be asked, and will come back later" if names else "all others follow"
        )

    def _follow(self, context: StepContext, takeover: Takeover, node: Instance, chosen: Instance) -> str:
        topology = topology_of(self.hosts, chosen)
        moved = topology.demote if node.id == takeover.former_id else topology.follow
        self.hosts.run(context, node, moved(node, chosen))
        return str(self.hosts.run(context, node, topology.following(node, chosen)))

    def _protect(self, context: StepContext) -> Outcome:
        """Have the new primary wait for its replicas as the mode says, and bring back whoever is apart."""
        takeover, _, nodes = self._whom(context)
        chosen = self._chosen(takeover)
        manager = self.hosts.manager(chosen)
        cluster, _ = members(self.hosts, context)
        followers = [node for node in nodes if node.id != chosen.id]
        self.hosts.run(context, chosen, topology_of(self.hosts, chosen).protect(chosen, followers, cluster.mode))

        def save(tx: Tx) -> None:
            held = clusters.lock(tx, takeover.cluster_id)
            if held is None:
                return
            _announce(tx, takeover, held, manager)

        return Next(save=save, message=f"{chosen.name} is the primary of {len(followers)} replicas")

    def _address(self, context: StepContext) -> Outcome:
        """Wait until the cluster's own address, where it has one, leads to the new primary: it was asked for at the promotion.

        Raises Failure with the provider's words where it could not be moved.
        """
        takeover, _, _ = self._whom(context)
        cluster, _ = members(self.hosts, context)
        answer = takeover.evidence.get(ADDRESS, {})
        if "problem" in answer:
            problem = load(Problem, answer["problem"])
            raise Failure(
                problem.message, command=problem.command, stderr=problem.stderr, what_to_do=problem.what_to_do
            )
        if not cluster.is_found:
            return Wait(LOOK_SECONDS, f"{cluster.addr} does not lead to the new primary yet")

        def save(tx: Tx) -> None:
            held = clusters.lock(tx, takeover.cluster_id)
            if held is not None:
                _succeed(tx, takeovers.get(tx.connection, takeover.operation_id), held)

        return Next(save=save, message=f"{cluster.addr} leads to the new primary" if cluster.addr else "")

    def _whom(self, context: StepContext) -> tuple[Takeover, Instance, list[Instance]]:
        """The takeover, the former primary, and all nodes that serve: of a failover the former primary is none of them."""
        _, nodes = members(self.hosts, context)
        with self.hosts.database.read() as connection:
            takeover = takeovers.get(connection, context.task.operation_id)
            former = clusters.instance(connection, takeover.former_id)
        dead = takeover.former_id if takeover.kind == Kind.FAILOVER else ""
        return takeover, former, [node for node in nodes if node.id != dead]

    def _to_admit(self, chosen: Instance) -> list[Instance]:
        """Whoever may come to follow it, also by work that was begun when another one was the primary."""
        with self.hosts.database.read() as connection:
            there = clusters.instances(connection, chosen.cluster_id)
        return [node for node in there if node.id != chosen.id and node.status in ADMITTED]

    def _chosen(self, takeover: Takeover) -> Instance:
        with self.hosts.database.read() as connection:
            return clusters.instance(connection, takeover.chosen_id)


def file_take_over(tx: Tx, takeover: Takeover) -> None:
    """File the second half, once."""
    draft = TaskDraft(id=task_id(TAKE_OVER, takeover.operation_id), kind=TAKE_OVER, subject=takeover.cluster_id,
                      cluster_id=takeover.cluster_id, operation_id=takeover.operation_id)  # fmt: skip
    tx.file(draft)


def end(
    tx: Tx, takeover: Takeover, status: str, problem: Problem | None = None, *, settled: bool = False, **result: object
) -> None:
    """Say what became of a takeover, with all that was found out; what is `settled` needs nothing more of its nodes.

    One that fails when somebody may have been promoted is still under way: until it is retried, no other may begin. The operation
    of a roll goes on.
    """
    if settled or status != "failed" or takeover.state != State.TAKING or not takeover.chosen_id:
        takeover.become(State.ENDED)
        takeovers.save(tx, takeover)
    if goes_on(tx, takeover.operation_id, status):
        return
    tx.emit(OperationEnded(operation_id=takeover.operation_id, cluster_id=takeover.cluster_id, status=status, problem=problem,
                           result={**result, "evidence": takeover.evidence}))  # fmt: skip


def failed(tx: Tx, task: Task, problem: Problem) -> None:
    """Either half has failed; or another node leads, and only the cluster's own address does not lead there."""
    cluster = clusters.lock(tx, task.cluster_id)
    takeover = takeovers.find(tx.connection, task.operation_id)
    if takeover is None or cluster is None:
        return
    settled = task.kind == TAKE_OVER and task.step == ADDRESS
    first = takeover.state == State.TAKING
    end(tx, takeover, "failed", problem, settled=settled)
    if settled and first:
        _bring_back(tx, takeover, cluster)


def cancelled(tx: Tx, task: Task) -> None:
    """The first half was cancelled and undone, or the whole cluster goes."""
    if takeover := takeovers.find(tx.connection, task.operation_id):
        end(tx, takeover, "cancelled")


def _announce(tx: Tx, takeover: Takeover, cluster: Cluster, manager: BaseManager) -> None:
    """Lead clients to the new primary, and to those that follow it by now."""
    there = clusters.instances(tx.connection, cluster.id)
    tx.emit(PrimaryChanged(cluster_id=cluster.id, operation_id=takeover.operation_id, primary_id=takeover.chosen_id,
                           former_id=takeover.former_id, endpoint=endpoint(cluster, there, manager)))  # fmt: skip


def _succeed(tx: Tx, takeover: Takeover, cluster: Cluster) -> None:
    """It may have ended before, for want of the address alone; then everybody is on the way back."""
    chosen, first = clusters.instance(tx.connection, takeover.chosen_id), takeover.state == State.TAKING
    end(tx, takeover, "succeeded", primary={"id": chosen.id, "name": chosen.name}, former=takeover.former_id)
    if first:
        _bring_back(tx, takeover, cluster)


def _bring_back(tx: Tx, takeover: Takeover, cluster: Cluster) -> None:
    fenced = takeover.former_id if takeover.kind == Kind.FAILOVER else ""
    for node in clusters.instances(tx.connection, cluster.id):
        if node.status == Status.APART and node.id in (fenced, *takeover.evidence["rewire"]):
            bring_back(tx, cluster, node, switched_off=node.id == fenced)
        elif node.status == Status.APART:
            bring_back_anew(tx, cluster, node)
