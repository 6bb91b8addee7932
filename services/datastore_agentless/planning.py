"""Plans: the exact commands and files of an operation, before any of them runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import GOING, Instance
from services.datastore_agentless.hosts.plan import Planned, plan
from shared.secrets import Secret


def plan_create(
    manager: BaseManager, names: list[str], ram_mb: int, vcpus: int, volume_gb: int, mode: str = ""
) -> dict[str, Any]:
    """What making a cluster would do on each of its hosts; the shape is api.md's plan. The first is the primary."""
    nodes = [_planned(manager, number, name, ram_mb, vcpus, volume_gb) for number, name in enumerate(names, 1)]
    steps = {node.id: plan(manager.prepare(node), node.secrets) for node in nodes}
    primary, *replicas = nodes
    for node, more in _together(manager, primary, replicas, replicas, mode):
        steps[node.id] += more
    return _shown(nodes, steps)


def plan_nodes(
    manager: BaseManager, cluster: Cluster, there: Sequence[Instance], names: list[str], mode: str
) -> dict[str, Any]:
    """What adding replicas of these names to a cluster would do, on their hosts and on the primary."""
    alive = [node for node in there if node.status not in GOING]
    primary = next(node for node in alive if cluster.leads(node.id))
    coming = [
        _planned(manager, number, name, cluster.ram_mb, cluster.vcpus, cluster.volume_gb)
        for number, name in enumerate(names, 1)
    ]
    steps = {primary.id: [], **{node.id: plan(manager.prepare(node), node.secrets) for node in coming}}
    replicas = [node for node in alive if node is not primary]
    for node, more in _together(manager, primary, coming, [*replicas, *coming], mode):
        steps[node.id] += more
    return _shown([primary, *coming], steps)


def _planned(manager: BaseManager, number: int, name: str, ram_mb: int, vcpus: int, volume_gb: int) -> Instance:
    return Instance(
        id=f"planned-{number}", cluster_id="planned", name=name, addr=f"192.0.2.{number}", user="root", ram_mb=ram_mb,
        vcpus=vcpus, volume_gb=volume_gb, data_dir="/var/lib/dtrove-data" if volume_gb else "",
        admin_user=manager.admin_user, admin_password=Secret("planned-password"),
        replication_password=Secret("planned-replication"),
    )  # fmt: skip


def _together(
    manager: BaseManager, primary: Instance, coming: list[Instance], replicas: list[Instance], mode: str
) -> Iterator[tuple[Instance, list[Planned]]]:
    """What makes replicas of those that are coming; `replicas` are all that there are then."""
    if manager.topology is None or not coming:
        return
    for replica in coming:
        yield primary, plan(manager.topology.admit(primary, replica), primary.secrets)
        yield replica, plan(manager.topology.join(replica, primary), replica.secrets)
    yield primary, plan(manager.topology.protect(primary, replicas, mode), primary.secrets)


def _shown(nodes: list[Instance], steps: dict[str, list[Planned]]) -> dict[str, Any]:
    hosts = [{"host": node.name, "commands": [_command(one) for one in steps[node.id]], "files": _files(steps[node.id])}
             for node in nodes]  # fmt: skip
    return {"hosts": hosts, "restarts": [], "lost": []}


def _command(step: Planned) -> dict[str, str]:
    return {"title": step.title, "command": step.command}


def _files(steps: list[Planned]) -> list[dict[str, str]]:
    return [{"path": one.path, "diff": "".join(f"+{line}\n" for line in one.content.splitlines())}
            for one in steps if one.path]  # fmt: skip
