"""Turns a primary that is well into one that takes no writes any more, and of which a replica has everything: it may take over."""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.datastores.base import succession
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.takeover import State, Takeover
from services.datastore_agentless.hosts.base import HostUnreachable
from services.datastore_agentless.store import clusters, takeovers
from services.datastore_agentless.workflows.beginning import HAND_OVER
from services.datastore_agentless.workflows.nodes_asked import age, ask, members, standing, topology_of
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.take_over import (
    PROOF_SECONDS,
    cancelled,
    failed,
    file_take_over,
)
from shared.db import Tx
from shared.errors import Failure
from shared.workflow import Next, Outcome, Step, StepContext, Wait, Workflow

LOOK_SECONDS = 0.1
# A primary that is frozen serves nobody: it is thawed after so long. One that cannot be reached for that either is let go of,
# so that it can be replaced; should it come back frozen, the watch has it take writes again (workflows.start_node).
FREEZE_SECONDS, CATCH_UP_SECONDS, THAW_SECONDS = 30.0, 30.0, 120.0


@dataclass(frozen=True)
class HandOver:
    """The first half of a switchover. Up to its end everything can be undone: the primary takes writes again."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """Steps in order; the task's subject is the cluster."""
        steps = (
            Step("check", self._check, deadline=PROOF_SECONDS, backoff_cap=2),
            Step("freeze", self._freeze, undo=self._thaw, deadline=THAW_SECONDS),
            Step("catch_up", self._catch_up, deadline=CATCH_UP_SECONDS, backoff_cap=1),
        )
        return Workflow(HAND_OVER, steps, on_failure=failed, on_cancelled=cancelled, undo_on_failure=True)

    def _check(self, context: StepContext) -> Outcome:
        """Choose who takes over, before anything is touched."""
        takeover, former, replicas = self._whom(context)
        primary, *others = ask(self.hosts, context, [former, *replicas], former)
        succession.well(primary)
        chosen = succession.successor(former, others, takeover.wanted_id)

        def save(tx: Tx) -> None:
            takeover.chosen_id = chosen.node.id
            takeover.evidence["check"] = {one.node.id: one.told() for one in (primary, *others)}
            takeovers.save(tx, takeover)

        return Next(save=save, message=f"{chosen.node.name} takes over from {former.name}")

    def _freeze(self, context: StepContext) -> Outcome:
        _, former, _ = self._whom(context)
        try:
            self.hosts.run(context, former, topology_of(self.hosts, former).freeze(former))
        except HostUnreachable as error:
            if age(self.hosts, context) < FREEZE_SECONDS:
                raise
            raise Failure(error.message, what_to_do="retry the operation") from error
        return Next(message=f"{former.name} takes no writes any more")

    def _thaw(self, context: StepContext) -> Outcome:
        """Writes are taken again where they were: nobody else has been made the primary yet."""
        with self.hosts.database.read() as connection:
            takeover = takeovers.get(connection, context.task.operation_id)
            former = clusters.instance(connection, takeover.former_id)
        self.hosts.run(context, former, topology_of(self.hosts, former).thaw(former))
        return Next(message=f"{former.name} takes writes again")

    def _catch_up(self, context: StepContext) -> Outcome:
        """Wait until the chosen one has all that was ever acknowledged."""
        takeover, former, replicas = self._whom(context)
        last = standing(self.hosts, context, former, former)
        chosen = next((one for one in replicas if one.id == takeover.chosen_id), None)
        if chosen is None:
            return Wait(LOOK_SECONDS, "the node that was chosen serves no longer")
        now = standing(self.hosts, context, chosen, former)
        if now.received < last.received:
            return Wait(LOOK_SECONDS, f"{chosen.name} is at {now.position}, {former.name} at {last.position}")

        def save(tx: Tx) -> None:
            # Whoever cancels holds it as well: it is before this, or too late.
            clusters.lock(tx, takeover.cluster_id)
            takeover.evidence["catch_up"] = {former.id: vars(last), chosen.id: vars(now)}
            takeover.become(State.TAKING)
            takeovers.save(tx, takeover)
            file_take_over(tx, takeover)

        return Next(save=save, message=f"{chosen.name} has everything")

    def _whom(self, context: StepContext) -> tuple[Takeover, Instance, list[Instance]]:
        """The takeover, the primary that hands over, and the replicas that serve."""
        cluster: Cluster
        cluster, nodes = members(self.hosts, context)
        with self.hosts.database.read() as connection:
            takeover = takeovers.get(connection, context.task.operation_id)
            former = clusters.instance(connection, cluster.primary_id)
        return takeover, former, [node for node in nodes if node.id != former.id]
