"""Turns a primary that is dead into one that is proven dead and about to be switched off: nothing is promoted before it is."""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.datastores.base import succession
from services.datastore_agentless.domain.takeover import State
from services.datastore_agentless.store import clusters, takeovers
from services.datastore_agentless.workflows.beginning import FAIL_OVER
from services.datastore_agentless.workflows.nodes_asked import age, ask, members
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.take_over import PROOF_SECONDS, cancelled, failed
from shared.contracts.datastore_agentless import NodeFenceRequested
from shared.db import Tx
from shared.errors import Failure
from shared.workflow import Next, Outcome, Step, StepContext, Wait, Workflow

# A replica may hold the line to a server that went without a word for as long as its own timeout.
TESTIMONY_SECONDS, LOOK_SECONDS = 15.0, 0.5


@dataclass(frozen=True)
class FailOver:
    """The first half of a failover. The second begins once the provider says that the old primary's server is off."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """One step; the task's subject is the cluster."""
        return Workflow(
            FAIL_OVER, (Step("prove", self._prove, deadline=PROOF_SECONDS),), on_failure=failed, on_cancelled=cancelled
        )

    def _prove(self, context: StepContext) -> Outcome:
        """Ask every replica: none may receive from the primary, and together they must have what was acknowledged."""
        cluster, nodes = members(self.hosts, context)
        with self.hosts.database.read() as connection:
            takeover = takeovers.get(connection, context.task.operation_id)
            former = clusters.instance(connection, cluster.primary_id)
        replicas = [node for node in nodes if node.id != former.id]
        testimonies = ask(self.hosts, context, replicas, former)
        if lives := succession.alive(former, testimonies):
            if age(self.hosts, context) < TESTIMONY_SECONDS:
                return Wait(LOOK_SECONDS, lives)
            raise Failure(f"{lives}: it lives, and is not replaced",
                          what_to_do="ask for a switchover, or for what is wrong with the way to it")  # fmt: skip
        heir = succession.heir(testimonies, cluster.mode, takeover.wanted_id, accept_loss=takeover.accept_loss)

        def save(tx: Tx) -> None:
            takeover.evidence["prove"] = {one.node.id: one.told() for one in testimonies}
            takeover.become(State.FENCING)
            takeovers.save(tx, takeover)
            tx.emit(NodeFenceRequested(instance_id=former.id, cluster_id=cluster.id, operation_id=takeover.operation_id,
                                       project_id=cluster.project_id))  # fmt: skip

        return Next(save=save, message=f"nobody receives from {former.name}; {heir.node.name} has most, "
                                       f"and takes over once {former.name} is off")  # fmt: skip
