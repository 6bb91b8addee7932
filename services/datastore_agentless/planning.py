"""Plans: the exact commands and files of an operation, before any of them runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.plan import Planned, plan
from shared.secrets import Secret


def plan_create(
    manager: BaseManager, names: list[str], ram_mb: int, vcpus: int, volume_gb: int, mode: str = ""
) -> dict[str, Any]:
    """What making a cluster would do on each of its hosts; the shape is api.md's plan. The first is the primary."""
    nodes = [
        Instance(
            id=f"planned-{number}", cluster_id="planned", name=name, addr=f"192.0.2.{number}", user="root", ram_mb=ram_mb,
            vcpus=vcpus, volume_gb=volume_gb, data_dir="/var/lib/dtrove-data" if volume_gb else "",
            admin_user=manager.admin_user, admin_password=Secret("planned-password"),
            replication_password=Secret("planned-replication"),
        )
        for number, name in enumerate(names, 1)
    ]  # fmt: skip
    steps = {node.id: plan(manager.prepare(node), node.secrets) for node in nodes}
    for node, more in _together(manager, nodes, mode):
        steps[node.id] += more
    hosts = [{"host": node.name, "commands": [_command(one) for one in steps[node.id]], "files": _files(steps[node.id])}
             for node in nodes]  # fmt: skip
    return {"hosts": hosts, "restarts": [], "lost": []}


def _together(manager: BaseManager, nodes: list[Instance], mode: str) -> Iterator[tuple[Instance, list[Planned]]]:
    """What makes replicas of all but the first."""
    primary, *replicas = nodes
    if manager.topology is None or not replicas:
        return
    for replica in replicas:
        yield primary, plan(manager.topology.admit(primary, replica), primary.secrets)
        yield replica, plan(manager.topology.join(replica, primary), replica.secrets)
    yield primary, plan(manager.topology.protect(primary, replicas, mode), primary.secrets)


def _command(step: Planned) -> dict[str, str]:
    return {"title": step.title, "command": step.command}


def _files(steps: list[Planned]) -> list[dict[str, str]]:
    return [{"path": one.path, "diff": "".join(f"+{line}\n" for line in one.content.splitlines())}
            for one in steps if one.path]  # fmt: skip
