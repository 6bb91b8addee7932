"""Backups, as the bus tells of what is wanted: one to make, one to delete. See workflows.send_backup and delete_backup."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from services.datastore_agentless.actions.requests import file_task
from services.datastore_agentless.backup_stores.stores import Stores
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.backup import Backup, State, source
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.store import backups, catalogue, clusters, health, restores
from services.datastore_agentless.workflows.keeping import BACKUP, DELETE, SEND
from services.datastore_agentless.workflows.on_host import ManagerFor
from shared.contracts.api import BackupDeleteRequested, BackupRequested
from shared.contracts.backups import FULL, BackupDeleted, BackupDeleteFailed, BackupFailed
from shared.contracts.base import new_id
from shared.contracts.operations import OperationBegun
from shared.contracts.scheduler import BackupDue, BackupExpired
from shared.contracts.values import Problem
from shared.db import Database, Tx, tasks
from shared.errors import Failure
from shared.workflow import TaskDraft, task_id


def request_backup(
    database: Database, event: BackupRequested | BackupDue, manager_for: ManagerFor, stores: Stores
) -> None:
    """File a backup of a cluster; what cannot be is answered with a failure."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "request_backup"):
            # Whoever says it again has missed the answer, where there was one.
            tx.repeat(event.operation_id)
            return
        try:
            _begin(tx, event, manager_for, stores)
        except Failure as error:
            problem = Problem(step="begin", message=error.message, what_to_do=error.what_to_do)
            tx.emit(BackupFailed(backup_id=event.backup_id, cluster_id=event.cluster_id,
                                 operation_id=event.operation_id, problem=problem))  # fmt: skip


def renew_backup(tx: Tx, former: Sequence[Backup], manager_for: ManagerFor, stores: Stores) -> None:
    """File a full backup that nobody has asked for: the log that is kept goes on from none. Where there can be none, none is filed.

    It is like the `former` ones, of one cluster: in the newest one's store, and of the schedule that has made the newest of its own, which
    counts it for what it keeps.
    """
    newest = former[-1]
    cluster = clusters.lock(tx, newest.cluster_id)
    if cluster is None or newest.store not in stores.names:
        return
    schedule_id = next((one.schedule_id for one in reversed(former) if one.schedule_id), "")
    event = BackupDue(operation_id=new_id(), backup_id=new_id(), cluster_id=cluster.id, project_id=cluster.project_id,
                      schedule_id=schedule_id, store=newest.store)  # fmt: skip
    with suppress(Failure):
        _begin(tx, event, manager_for, stores)
        tx.emit(OperationBegun(operation_id=event.operation_id, cluster_id=cluster.id, project_id=cluster.project_id,
                               kind="backup", message="its log goes on from no backup: a full one is made"))  # fmt: skip


def delete_backup(database: Database, event: BackupDeleteRequested | BackupExpired) -> None:
    """File the removal of a backup; one that is being made is stopped first, and of one that is unknown nothing is kept.

    One that another builds upon stays: whoever has asked may not know of that one yet.
    """
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "delete_backup"):
            tx.repeat(event.operation_id)
            return
        backup = backups.lock(tx, event.backup_id)
        if backup is None or backup.state == State.DELETED:
            tx.emit(BackupDeleted(backup_id=event.backup_id, cluster_id=event.cluster_id,
                                  operation_id=event.operation_id))  # fmt: skip
            return
        above = backups.built_upon(tx.connection, backup.id) if backup.state == State.COMPLETED else None
        words = "" if above is None else f"the backup {above} builds upon this one"
        if restores.reads(tx.connection, backup.id):
            words = "a cluster is just being given its data"
        if words:
            problem = Problem(step="delete", message=words, what_to_do="wait for that, or delete that one first")
            tx.emit(BackupDeleteFailed(backup_id=backup.id, cluster_id=backup.cluster_id, operation_id=event.operation_id,
                                       problem=problem, kept=True))  # fmt: skip
            return
        if backup.state == State.MAKING:
            tasks.cancel(tx, operation_id=backup.operation_id, kinds=(BACKUP, SEND))
        else:
            backup.become(State.DELETING)
            backups.save(tx, backup)
        tx.file(TaskDraft(id=task_id(DELETE, event.operation_id), kind=DELETE, subject=task_id(DELETE, backup.id),
                          cluster_id=backup.cluster_id, operation_id=event.operation_id,
                          payload={"backup_id": backup.id}))  # fmt: skip


def _begin(tx: Tx, event: BackupRequested | BackupDue, manager_for: ManagerFor, stores: Stores) -> None:
    """Record a backup, and file what makes it. Raises Failure where there can be none."""
    store = event.store or stores.usual
    if store not in stores.names:
        raise Failure(f"there is no backup store {store!r}", what_to_do=f"name one of {', '.join(stores.names)}")
    cluster, node = _source(tx, event.cluster_id)
    entry = catalogue.datastore(tx.connection, cluster.datastore_id)
    manager: BaseManager = manager_for(entry)
    if event.kind != FULL and manager.full_only:
        raise Failure(f"{entry.name} {manager.full_only}", what_to_do="ask for a full one")
    keeps = manager.dumping is not None
    backup = Backup(
        id=event.backup_id, cluster_id=cluster.id, project_id=cluster.project_id, operation_id=event.operation_id,
        created_at=tx.database.clock.now(), cluster_name=cluster.name, kind=event.kind, instance_id=node.id,
        schedule_id=event.schedule_id if isinstance(event, BackupDue) else "", store=store if keeps else "",
        key=f"{cluster.project_id}/{cluster.id}/{event.backup_id}" if keeps else "",
        manifest={"history": cluster.history} if cluster.history else {},
        datastore={"manager": entry.manager, "version": entry.version, "name": entry.name},
    )  # fmt: skip
    if not backups.add(tx, backup):
        tx.repeat(event.operation_id)
        return
    kind, subject = (SEND, task_id("backup", cluster.id)) if keeps else (BACKUP, node.id)
    file_task(
        tx,
        kind,
        node,
        event.operation_id,
        task_id(kind, backup.id),
        subject=subject,
        backup_id=backup.id,
        wanted=event.kind,
    )


def _source(tx: Tx, cluster_id: str) -> tuple[Cluster, Instance]:
    """A cluster, and the node that its backup is best taken from at this moment. Raises Failure where there is none."""
    cluster = clusters.lock(tx, cluster_id)
    if cluster is not None and cluster.status == ClusterStatus.STOPPED:
        raise Failure("the cluster is stopped", what_to_do="start it first")
    nodes = clusters.instances(tx.connection, cluster_id)
    seen = health.of_clusters(tx.connection, (cluster_id,))[cluster_id]
    node = None if cluster is None else source(cluster, nodes, seen, tx.database.clock.now())
    if cluster is None or node is None:
        raise Failure("the cluster has no node that is ready", what_to_do="wait until the cluster is active")
    return cluster, node
