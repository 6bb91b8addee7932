"""Turns a node with a database of its own into a replica that follows its cluster's primary."""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.datastores.base import Topology
from services.datastore_agentless.datastores.base.topology import STREAMS
from services.datastore_agentless.domain.instance import GOING, Instance
from services.datastore_agentless.store import clusters
from services.datastore_agentless.workflows.ending import JOIN, fail_node, node_joined
from services.datastore_agentless.workflows.on_host import Hosts
from shared.errors import Failure
from shared.workflow import Next, Outcome, Step, StepContext, Wait, Workflow

LOOK_SECONDS = 0.25
COPY_SECONDS = 25 * 3600


@dataclass(frozen=True)
class JoinNode:
    """The steps, some on the primary and some on the replica; the task's subject is the replica."""

    hosts: Hosts

    def workflow(self) -> Workflow:
        """Steps in order. A failure keeps the host as it is, for a look, a retry, or a delete."""
        steps = (
            Step("admit", self._admit, deadline=300),
            Step("copy", self._copy, deadline=COPY_SECONDS),
            Step("join", self._join, deadline=COPY_SECONDS),
            Step("follow", self._follow, deadline=300),
            Step("protect", self._protect, deadline=300),
        )
        return Workflow(JOIN, steps, on_failure=fail_node)

    def _admit(self, context: StepContext) -> Outcome:
        """Let the replica in at the primary."""
        replica = self.hosts.instance(context)
        primary, topology = self._primary(replica), self._topology(replica)
        self.hosts.run(context, primary, topology.admit(primary, replica))
        return Next(message=f"{primary.name} lets {replica.name} follow")

    def _copy(self, context: StepContext) -> Outcome:
        """Have the replica fetch the primary's data, where its log no longer tells all of it."""
        replica = self.hosts.instance(context)
        primary, copying = self._primary(replica), self._topology(replica).copying
        if copying is None or not self.hosts.run(context, primary, copying.needed(primary)):
            return Next()
        if self.hosts.through_console:
            raise Failure(f"{replica.name} cannot fetch the data of {primary.name}: nobody logs in to it over SSH",
                          what_to_do="make a new cluster, and move the data by the database's own tools")  # fmt: skip
        public_key = str(self.hosts.run(context, replica, copying.ask(replica)))
        self.hosts.run(context, primary, copying.lend(primary, replica, public_key))
        self.hosts.run(context, replica, copying.take(replica, primary))
        self.hosts.run(context, primary, copying.end(primary, replica))
        return Next(message=f"has the data of {primary.name}")

    def _join(self, context: StepContext) -> Outcome:
        replica = self.hosts.instance(context)
        primary = self._primary(replica)
        self.hosts.run(context, replica, self._topology(replica).join(replica, primary))
        return Next(message=f"told to follow {primary.name}")

    def _follow(self, context: StepContext) -> Outcome:
        """Wait until it does."""
        replica = self.hosts.instance(context)
        primary = self._primary(replica)
        lacks = self.hosts.run(context, replica, self._topology(replica).following(replica, primary))
        if lacks != STREAMS:
            return Wait(LOOK_SECONDS, f"{replica.name} does not follow {primary.name} yet: {lacks}")
        return Next(message=f"follows {primary.name}")

    def _protect(self, context: StepContext) -> Outcome:
        """Have the primary wait for its replicas, where that is wanted: not before one of them follows."""
        replica = self.hosts.instance(context)
        manager = self.hosts.manager(replica)
        primary, topology = self._primary(replica), self._topology(replica)
        with self.hosts.database.read() as connection:
            cluster = clusters.cluster(connection, replica.cluster_id)
            nodes = clusters.instances(connection, cluster.id)
        others = [one for one in nodes if not cluster.leads(one.id) and one.status not in GOING]
        self.hosts.run(context, primary, topology.protect(primary, others, cluster.mode))
        return Next(save=lambda tx: node_joined(tx, context.task, replica, manager), message="is a replica")

    def _primary(self, replica: Instance) -> Instance:
        with self.hosts.database.read() as connection:
            cluster = clusters.cluster(connection, replica.cluster_id)
            return clusters.instance(connection, cluster.primary_id)

    def _topology(self, replica: Instance) -> Topology:
        """Raises Failure where the datastore has no replicas, whatever release has asked for some."""
        manager = self.hosts.manager(replica)
        if manager.topology is None:
            raise Failure(f"{manager.datastore.name} has no replicas", what_to_do="make a cluster of one node")
        return manager.topology
