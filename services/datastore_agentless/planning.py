"""Plans: the exact commands and files of an operation, before any of them runs."""

from __future__ import annotations

from typing import Any

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.plan import Planned, plan
from shared.secrets import Secret


def plan_create(manager: BaseManager, names: list[str], ram_mb: int, vcpus: int, volume_gb: int) -> dict[str, Any]:
    """What making a cluster would do on each of its hosts; the shape is api.md's plan."""
    hosts = []
    for name in names:
        instance = Instance(
            id="planned", cluster_id="planned", name=name, addr="192.0.2.1", user="root", ram_mb=ram_mb, vcpus=vcpus,
            volume_gb=volume_gb, data_dir="/var/lib/dtrove-data" if volume_gb else "", admin_user=manager.admin_user,
            admin_password=Secret("planned-password"),
        )  # fmt: skip
        steps = plan(manager.prepare(instance), (instance.admin_password,))
        hosts.append({"host": name, "commands": [_command(one) for one in steps], "files": _files(steps)})
    return {"hosts": hosts, "restarts": [], "lost": []}


def _command(step: Planned) -> dict[str, str]:
    return {"title": step.title, "command": step.command}


def _files(steps: list[Planned]) -> list[dict[str, str]]:
    return [{"path": one.path, "diff": "".join(f"+{line}\n" for line in one.content.splitlines())}
            for one in steps if one.path]  # fmt: skip
