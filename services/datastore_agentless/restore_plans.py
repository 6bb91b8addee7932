"""Plans of a restore in place, of its undoing and of its confirmation: what each would run on the node that leads, and what is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.datastore_agentless.backup_stores import transfer
from services.datastore_agentless.backup_stores.base import Fetching
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.aside import FORMER, RESTORED, UNDONE, Aside
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.hosts.base import Script
from services.datastore_agentless.planning import planned_work, shown_plan
from shared.errors import Conflict
from shared.secrets import Secret

RESTORE, UNDO, CONFIRM = "restore", "undo", "confirm"
_PLANNED = "planned"
# Stands for the key that opens backups, which is nobody's to see.
_KEY = Secret("AGE-SECRET-KEY-PLANNED")


def plan_restore(
    manager: BaseManager, cluster: Cluster, there: Sequence[Instance], action: str, told: str
) -> dict[str, Any]:
    """The plan; `told` is what a restore brings, in words. Where the parts come from, and the log, is found out only then.

    Raises Conflict where the datastore's data cannot be exchanged, or nobody leads the cluster.
    """
    node = next((one for one in there if cluster.leads(one.id)), None)
    if manager.dumping is None or node is None:
        raise Conflict(
            f"the data of cluster {cluster.name} are not replaced by DTrove", what_to_do="restore to a new cluster"
        )
    aside = Aside(manager.dumping)
    if action == CONFIRM:
        lost = f"what cluster {cluster.name} had before it was restored"
        return shown_plan([node], planned_work([(node, aside.drop(node, FORMER))])) | {"lost": [lost]}
    scripts = _restored(manager, aside, node) if action == RESTORE else _undone(aside, node)
    replicas = [one for one in there if one.status == Status.READY and one is not node]
    restarts = [f"{manager.name} on {node.name}: stopped while the data change places"]
    restarts += [
        f"{one.name}: takes the data of {node.name} in place of its own, by an operation of its own" for one in replicas
    ]
    shown = shown_plan([node], planned_work([(node, script) for script in scripts])) | {"restarts": restarts}
    if action == UNDO:
        return shown | {"lost": [f"what was written to cluster {cluster.name} since it was restored"]}
    return shown | {
        "moves": [
            told,
            f"what {node.name} has now: beside the new data, where it is kept until the restore is confirmed",
        ]
    }


def _restored(manager: BaseManager, aside: Aside, node: Instance) -> list[Script]:
    dumping = aside.dumping
    return [
        dumping.room(node), manager.install_packages(node, transfer.PACKAGES), dumping.ready(node),
        transfer.receive(Fetching(()), dumping.receives(node), _KEY, _PLANNED),
        aside.exchange(node, comes=RESTORED, goes=FORMER), aside.serve(node, fresh=True),
    ]  # fmt: skip


def _undone(aside: Aside, node: Instance) -> list[Script]:
    return [aside.exchange(node, comes=FORMER, goes=UNDONE), aside.serve(node), aside.drop(node, UNDONE)]
