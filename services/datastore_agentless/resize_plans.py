"""Plans of a resize: how file systems grow, then of each node what its engine is told around the change of its server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.domain.resize import Resize, become, smaller
from services.datastore_agentless.domain.roll import Action, Roll
from services.datastore_agentless.hosts import volumes
from services.datastore_agentless.hosts.plan import Planned
from services.datastore_agentless.planning import Work, handing_over, planned_work, shown_plan
from shared.contracts.values import Flavor


def plan_resize(
    manager: BaseManager, cluster: Cluster, there: Sequence[Instance], volume_gb: int, flavor: Flavor | None
) -> dict[str, Any]:
    """What a resize would run on each host, in the order in which they come; the shape is api.md's plan.

    Volumes grow while all nodes serve, once the provider has made them larger: nothing restarts for them. Who takes over before the
    primary's turn is found out only then: it is shown with the first by name.
    """
    resize = Resize(operation_id="planned", cluster_id=cluster.id, volume_gb=volume_gb, flavor=flavor)
    nodes = resize.of(there)
    work: Work = [
        (node, volumes.grow(node.data_dir, volume_gb, by_provider=not node.volume_device))
        for node in nodes if volume_gb
    ]  # fmt: skip
    restarts = list[str]()
    for node, before in _in_turn(cluster, there, resize):
        if cluster.leads(node.id) and before:
            work += handing_over(manager, cluster, node, before[0], before[1:], fenced=False)
        work += _of_node(manager, node, flavor)
        restarts += (
            [f"server {node.name}: becomes a {flavor.name}, {manager.name} is stopped meanwhile"] if flavor else []
        )
    steps: dict[str, list[Planned]] = {node.id: [] for node in nodes} | planned_work(work)
    return shown_plan(nodes, steps) | {"restarts": restarts}


def _in_turn(cluster: Cluster, there: Sequence[Instance], resize: Resize) -> list[tuple[Instance, list[Instance]]]:
    """Each node whose server changes, in order, with all that come before it."""
    ready = [node for node in there if node.status == Status.READY]
    roll = Roll(operation_id="planned", cluster_id=cluster.id, wanted=Action.RESIZE, action=Action.RESIZE)
    found, before = list[tuple[Instance, list[Instance]]](), list[Instance]()
    while (node := roll.following(cluster, ready)) is not None:
        if not resize.spares(node):
            found.append((node, list(before)))
        before.append(node)
        roll.done_ids.append(node.id)
    return found


def _of_node(manager: BaseManager, node: Instance, flavor: Flavor | None) -> Work:
    """What is done on one node."""
    if flavor is None:
        return []
    mounting = [volumes.mount(node.volume_device, node.data_dir)] if node.volume_device else []
    scripts = [manager.write_configuration(smaller(node, flavor)), manager.stop(), *mounting,
               manager.write_configuration(become(node, flavor)), manager.restart()]  # fmt: skip
    return [(node, script) for script in scripts]
