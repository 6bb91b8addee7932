"""Servers that are switched off and on: wishes filed in one transaction each, and one look for whoever needs a witness."""

from __future__ import annotations

from services.provisioner.domain.instance import Instance, Status
from services.provisioner.providers.witness import Witness
from services.provisioner.store import instances
from services.provisioner.workflows.switch_power import FENCE, POWER_ON, failure_of
from shared.contracts.datastore_agentless import NodeFenceRequested, NodePowerRequested
from shared.contracts.provisioner import InstanceFenced, InstancePowerFailed
from shared.contracts.values import Problem
from shared.db import Database, Tx, tasks
from shared.workflow import TaskDraft, task_id

Wish = NodeFenceRequested | NodePowerRequested


def fence_instance(database: Database, event: NodeFenceRequested) -> bool:
    """File the switching off of a server, and end what would switch it on; false where nobody has heard of the instance.

    A deleted one is fenced by being gone.
    """
    with database.write() as tx:
        instance = _find(tx, event)
        if instance is None:
            return False
        if not tx.first_seen(event.event_id, "fence_instance"):
            return True
        tasks.cancel(tx, subject=event.instance_id, kinds=(POWER_ON,))
        if instance.status == Status.DELETED:
            tx.emit(
                InstanceFenced(instance_id=instance.id, cluster_id=instance.cluster_id, operation_id=event.operation_id,
                               server_status="DELETED")
            )  # fmt: skip
        else:
            tx.file(_draft(FENCE, instance, event))
    return True


def power_instance(database: Database, event: NodePowerRequested) -> bool:
    """File the switching on of a server; false where nobody has heard of the instance."""
    with database.write() as tx:
        instance = _find(tx, event)
        if instance is None:
            return False
        if not tx.first_seen(event.event_id, "power_instance"):
            return True
        if instance.status == Status.DELETED:
            problem = Problem(step="power_on", host=instance.name, message=f"instance {instance.id} is deleted")
            tx.emit(
                InstancePowerFailed(instance_id=instance.id, cluster_id=instance.cluster_id, wanted="on",
                                    operation_id=event.operation_id, problem=failure_of("on", instance.name, problem))
            )  # fmt: skip
        else:
            tx.file(_draft(POWER_ON, instance, event))
    return True


def server_status(database: Database, witness: Witness, instance_id: str) -> dict[str, str]:
    """What the provider says of one server now; nothing of it is stored. Raises NotFound."""
    with database.read() as connection:
        instance = instances.get(connection, instance_id)
    return witness.ask(instance)


def _find(tx: Tx, event: Wish) -> Instance | None:
    known = instances.exists(tx.connection, event.instance_id)
    return instances.get(tx.connection, event.instance_id) if known else None


def _draft(kind: str, instance: Instance, event: Wish) -> TaskDraft:
    """One task for each wish: two operations that want the same are both answered."""
    return TaskDraft(
        id=task_id(kind, instance.id, event.event_id), kind=kind, subject=instance.id, cluster_id=instance.cluster_id,
        operation_id=event.operation_id, payload={"instance_id": instance.id}, host=instance.name,
    )  # fmt: skip
