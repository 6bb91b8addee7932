"""Asks the nodes of a cluster where they stand; who does not answer is a finding as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from services.datastore_agentless.datastores.base import Topology
from services.datastore_agentless.datastores.base.succession import Testimony
from services.datastore_agentless.domain.cluster import GOING, Cluster
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.standing import Standing
from services.datastore_agentless.hosts.base import CommandFailed, HostKeyChanged, HostUnreachable
from services.datastore_agentless.store import clusters
from services.datastore_agentless.workflows.on_host import Hosts
from shared.errors import Cancelled, Failure
from shared.workflow import StepContext


def members(hosts: Hosts, context: StepContext) -> tuple[Cluster, list[Instance]]:
    """The cluster of a task, and those of its nodes that serve. Raises Cancelled once it is to go."""
    with hosts.database.read() as connection:
        cluster = clusters.cluster(connection, context.task.cluster_id)
        nodes = clusters.instances(connection, cluster.id)
    if cluster.status in GOING:
        raise Cancelled(f"cluster {cluster.id} is {cluster.status}")
    return cluster, [node for node in nodes if node.status == Status.READY]


def topology_of(hosts: Hosts, node: Instance) -> Topology:
    """How the nodes of its cluster work together. Raises Failure where the datastore has no replicas."""
    manager = hosts.manager(node)
    if manager.topology is None:
        raise Failure(f"{manager.datastore.name} has no replicas", what_to_do="make a cluster of one node")
    return manager.topology


def standing(hosts: Hosts, context: StepContext, node: Instance, primary: Instance) -> Standing:
    """Where one node stands. Raises HostUnreachable, CommandFailed."""
    return cast("Standing", hosts.run(context, node, topology_of(hosts, node).standing(node, primary)))


def ask(hosts: Hosts, context: StepContext, nodes: Sequence[Instance], primary: Instance) -> list[Testimony]:
    """What each node says of itself."""
    return [_testimony(hosts, context, node, primary) for node in nodes]


def age(hosts: Hosts, context: StepContext) -> float:
    """How long the present step has been at it, in seconds."""
    return (hosts.database.clock.now() - context.task.step_started_at).total_seconds()


def _testimony(hosts: Hosts, context: StepContext, node: Instance, primary: Instance) -> Testimony:
    try:
        return Testimony(node, standing(hosts, context, node, primary))
    except (HostUnreachable, HostKeyChanged, CommandFailed) as error:
        return Testimony(node, trouble=error.message)
