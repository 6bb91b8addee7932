"""Turns a node with a database of its own, or one that has parted from its cluster, into a replica of the primary."""

from __future__ import annotations

from dataclasses import dataclass

from services.datastore_agentless.datastores.base import Topology, succession
from services.datastore_agentless.datastores.base.topology import STREAMS
from services.datastore_agentless.domain.instance import GOING, Instance, Status
from services.datastore_agentless.hosts.base import CommandFailed, HostUnreachable
from services.datastore_agentless.store import clusters
from services.datastore_agentless.workflows.accounts_told import tell
from services.datastore_agentless.workflows.ending import JOIN, fail_node, node_joined
from services.datastore_agentless.workflows.nodes_asked import ask
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.returning import REJOIN, cancelled, returned
from services.datastore_agentless.workflows.seen_parameters import see
from shared.db import Tx
from shared.errors import Failure
from shared.workflow import Next, Outcome, Step, StepContext, Wait, Workflow

LOOK_SECONDS = 0.25
COPY_SECONDS = 25 * 3600
# A host that cannot be asked may be away for as long.
RETURN_SECONDS = 24 * 3600


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

    def again(self) -> Workflow:
        """The same for a node that is apart: what it has gives way to the primary's data."""
        fresh = self.workflow()
        steps = (Step("reset", self._reset, deadline=RETURN_SECONDS), *fresh.steps)
        return Workflow(REJOIN, steps, on_failure=fail_node, on_cancelled=cancelled)

    def _reset(self, context: StepContext) -> Outcome:
        replica = self.hosts.instance(context)
        self.hosts.run(context, replica, self._topology(replica).reset(replica))
        # What was changed meanwhile it has to begin with: a replica with less than its primary may not start at all.
        self.hosts.run(context, replica, self.hosts.manager(replica).write_configuration(replica))
        return Next(message="its own data are given up")

    def _admit(self, context: StepContext) -> Outcome:
        """Let the replica in at the primary, which from now on must not take writes only because its host has booted."""
        replica = self.hosts.instance(context)
        primary, topology = self._primary(replica), self._topology(replica)
        self.hosts.run(context, primary, topology.manager.at_boot(starts=False))
        self.hosts.run(context, primary, topology.admit(primary, replica))
        return Next(message=f"{primary.name} lets {replica.name} follow")

    def _copy(self, context: StepContext) -> Outcome:
        """Have the replica fetch the data, where the primary's log no longer tells all of them."""
        replica = self.hosts.instance(context)
        primary, copying = self._primary(replica), self._topology(replica).copying
        if copying is None:
            return Next()
        if context.task.kind != REJOIN and not self.hosts.run(context, primary, copying.needed(primary)):
            return Next()
        if self.hosts.through_console:
            raise Failure(f"{replica.name} cannot fetch the data of {primary.name}: nobody logs in to it over SSH",
                          what_to_do="make a new cluster, and move the data by the database's own tools")  # fmt: skip
        source = self._source(context, replica, primary)
        public_key = str(self.hosts.run(context, replica, copying.ask(replica)))
        self.hosts.run(context, source, copying.lend(source, replica, public_key))
        self.hosts.run(context, replica, copying.take(replica, primary, source))
        self.hosts.run(context, source, copying.end(source, replica))
        return Next(message=f"has the data of {source.name}")

    def _join(self, context: StepContext) -> Outcome:
        replica = self.hosts.instance(context)
        primary, topology = self._primary(replica), self._topology(replica)
        self.hosts.run(context, replica, topology.manager.at_boot(starts=False))
        source = primary if topology.copying is not None else self._source(context, replica, primary)
        self.hosts.run(context, replica, topology.join(replica, primary, source))
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
        seen = see(self.hosts, context, replica, change=True)
        tell(self.hosts, context, primary, (replica,))

        def save(tx: Tx) -> None:
            node_joined(tx, context.task, replica, manager)
            seen(tx)
            if context.task.kind == REJOIN:
                returned(tx, context.task)

        return Next(save=save, message="is a replica")

    def _source(self, context: StepContext, replica: Instance, primary: Instance) -> Instance:
        """Who sends the data to a new node: a replica that has them, to spare the primary, or else the primary itself.

        It is found out anew each time: one that is gone meanwhile is asked no more, and the key that it has lent expires.
        """
        if context.task.kind == REJOIN:
            return primary
        topology = self._topology(replica)
        with self.hosts.database.read() as connection:
            nodes = clusters.instances(connection, replica.cluster_id)
        others = [one for one in nodes if one.status == Status.READY and one.id not in (primary.id, replica.id)]
        followers = succession.followers(primary, ask(self.hosts, context, others, primary))
        since = str(self.hosts.run(context, primary, topology.kept_since(primary, replica))) if followers else ""
        for one in followers:
            try:
                if self.hosts.run(context, one, topology.lends(one, since)):
                    return one
            except (HostUnreachable, CommandFailed):
                continue
        return primary

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
