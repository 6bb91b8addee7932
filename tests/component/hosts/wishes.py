"""What the bus tells of clusters, as tests say it, and what was announced in answer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import select

from services.datastore_agentless import actions
from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.settings import BUILT_IN
from services.datastore_agentless.store import clusters
from shared.contracts.api import (
    BackupRequested,
    ClusterDeleteRequested,
    ClusterRequested,
    NodesRemoveRequested,
    NodesRequested,
)
from shared.contracts.provisioner import InstanceActive, InstanceDeleted
from shared.contracts.values import DatastoreRef, Flavor, InstanceRef, Topology
from shared.db import Database
from shared.engine import StepEngine
from tests.support.keeping import MemoryStore, MemoryStores

REF = DatastoreRef(id="ds", manager="pgsql", version="15", image="debian-12", packages=("postgresql-15",))


def manager_for(entry: Datastore) -> Any:
    return load_manager(entry.manager_class, entry, BUILT_IN)


def admin_user(entry: Datastore) -> str:
    return str(manager_for(entry).admin_user)


def back_up(database: Database, event: BackupRequested) -> None:
    """Hear of a wish for a backup, where there is one store."""
    actions.request_backup(database, event, manager_for, MemoryStores(MemoryStore()))


def wish(cluster: str = "c", nodes: int = 1, datastore: DatastoreRef = REF, mode: str = "async") -> ClusterRequested:
    return ClusterRequested(
        cluster_id=cluster, operation_id=f"make-{cluster}", project_id="p", name=cluster, size=nodes, datastore=datastore,
        flavor=Flavor(id="tiny", name="tiny", vcpus=1, ram_mb=512, disk_gb=5),
        instances=tuple(InstanceRef(id=f"{cluster}-{n}", name=f"{cluster}-{n}") for n in range(nodes)),
        topology=Topology(mode=mode) if nodes > 1 else None,
    )  # fmt: skip


def up(instance: str, cluster: str = "c", **values: Any) -> InstanceActive:
    return InstanceActive(
        instance_id=instance, cluster_id=cluster, operation_id=f"make-{cluster}", server="s", user="root",
        addr=f"sim-{instance}.invalid", host_key="ssh-ed25519 AAAA", **values,
    )  # fmt: skip


def more(*instances: str, cluster: str = "c", mode: str = "async", operation: str = "add") -> NodesRequested:
    return NodesRequested(
        cluster_id=cluster, operation_id=operation, project_id="p", datastore=REF, topology=Topology(mode=mode),
        flavor=Flavor(id="tiny", name="tiny", vcpus=1, ram_mb=512, disk_gb=5),
        instances=tuple(InstanceRef(id=one, name=one) for one in instances),
    )  # fmt: skip


def less(*instances: str, cluster: str = "c", operation: str = "remove") -> NodesRemoveRequested:
    return NodesRemoveRequested(cluster_id=cluster, operation_id=operation, project_id="p", instance_ids=instances)


def gone(instance: str, cluster: str = "c", operation: str = "end") -> InstanceDeleted:
    return InstanceDeleted(instance_id=instance, cluster_id=cluster, operation_id=operation)


def goodbye(cluster: str = "c", nodes: int = 1) -> ClusterDeleteRequested:
    ids = tuple(f"{cluster}-{n}" for n in range(nodes))
    return ClusterDeleteRequested(cluster_id=cluster, operation_id="end", project_id="p", instance_ids=ids)


def said(database: Database, topic: str) -> list[dict[str, Any]]:
    """What was announced under a topic, oldest first."""
    t = database.outbox
    with database.read() as connection:
        rows = connection.execute(select(t.c.body).where(t.c.routing_key == topic).order_by(t.c.id)).all()
    return [json.loads(row.body) for row in rows]


def cluster_status(database: Database, cluster: str = "c") -> ClusterStatus:
    with database.read() as connection:
        return clusters.cluster(connection, cluster).status


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run all in threads that begin together."""
    begin = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        begin.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return [one.result(30) for one in [threads.submit(run, work) for work in works]]


def work_now(engine: StepEngine) -> None:
    """Let the engine work on what is ready, and leave what another one has."""
    while engine.run_due() == 0:
        continue


def work(engine: StepEngine) -> None:
    """Let the engine work until time brings nothing more; a step that is tried again is waited for."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        pause = engine.run_due()
        if pause is None:
            return
        engine.database.clock.sleep(pause)
    raise AssertionError("the engine came to no end")
