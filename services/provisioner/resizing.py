"""Servers that become larger, or their volumes: a wish filed in one transaction."""

from __future__ import annotations

from typing import Any

from services.provisioner.store import instances
from services.provisioner.workflows.resize_instance import GROW, RESIZE
from shared.contracts.base import dump
from shared.contracts.datastore_agentless import NodeResizeRequested
from shared.db import Database
from shared.workflow import TaskDraft, task_id


def resize_instance(database: Database, event: NodeResizeRequested) -> bool:
    """File the growing of a server's volume, or the change of its flavor; false where nobody has heard of the instance."""
    with database.write() as tx:
        if not instances.exists(tx.connection, event.instance_id):
            return False
        if tx.first_seen(event.event_id, "resize_instance"):
            instance = instances.get(tx.connection, event.instance_id)
            kind = GROW if event.flavor is None else RESIZE
            payload: dict[str, Any] = {"instance_id": instance.id, "volume_gb": event.volume_gb}
            if event.flavor is not None:
                payload["flavor"] = dump(event.flavor)
            tx.file(TaskDraft(
                id=task_id(kind, instance.id, event.event_id), kind=kind, subject=instance.id,
                cluster_id=instance.cluster_id, operation_id=event.operation_id, host=instance.name, payload=payload,
            ))  # fmt: skip
        return True
