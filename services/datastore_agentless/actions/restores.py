"""Restores in place, as the bus tells of what is wanted: begun, confirmed, undone; and what becomes of those that nobody speaks of."""

from __future__ import annotations

from services.datastore_agentless.actions.requests import file_task
from services.datastore_agentless.datastores.base.aside import FORMER
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import GOING, Instance
from services.datastore_agentless.domain.restore import Restore, State
from services.datastore_agentless.store import backups, catalogue, clusters, restores
from services.datastore_agentless.workflows.beginning import operation_of
from services.datastore_agentless.workflows.keeping import DROP, RESTORE, UNDO
from services.datastore_agentless.workflows.on_host import ManagerFor
from services.datastore_agentless.workflows.undo_restore import subject
from shared.contracts.operations import OperationBegun, OperationEnded
from shared.contracts.restores import (
    ClusterRestoreConfirmed,
    ClusterRestoreRequested,
    RestoreConfirmRequested,
    RestoreUndoRequested,
)
from shared.contracts.values import Problem
from shared.db import Database, Tx
from shared.errors import DtroveError, Failure
from shared.workflow import task_id

# What a user calls the end of what was kept.
CONFIRM = "confirm_restore"
RestoreWish = ClusterRestoreRequested | RestoreConfirmRequested | RestoreUndoRequested


def request_restore(database: Database, event: RestoreWish, manager_for: ManagerFor) -> None:
    """File what is wanted; what cannot be is answered with a failure."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "request_restore"):
            # Whoever says it again has missed the answer, where there was one.
            tx.repeat(event.operation_id)
            return
        try:
            if isinstance(event, ClusterRestoreRequested):
                _begin(tx, event, manager_for)
            elif isinstance(event, RestoreConfirmRequested):
                _confirm(tx, event)
            else:
                _undo(tx, event)
        except DtroveError as error:
            problem = Problem(step="begin", message=error.message, what_to_do=error.what_to_do)
            tx.emit(OperationEnded(operation_id=event.operation_id, cluster_id=event.cluster_id, status="failed",
                                   problem=problem))  # fmt: skip


def purge(database: Database) -> int:
    """Have go what was there before restores that nobody has confirmed or undone in time; returns how many."""
    with database.read() as connection:
        late = restores.overdue(connection, database.clock.now())
    for one in late:
        operation_id = operation_of(CONFIRM, one.cluster_id, one.operation_id)
        with database.write() as tx:
            cluster = clusters.lock(tx, one.cluster_id)
            entry = restores.get(tx.connection, one.operation_id)
            if cluster is None or entry.state != State.KEPT:
                continue
            tx.emit(OperationBegun(operation_id=operation_id, cluster_id=cluster.id, project_id=cluster.project_id,
                                   kind=CONFIRM,
                                   message="what was there before the restore is kept no longer: its time is over"))  # fmt: skip
            _drop(tx, cluster, entry, operation_id)
    return len(late)


def _begin(tx: Tx, event: ClusterRestoreRequested, manager_for: ManagerFor) -> None:
    """Record a restore, and file what makes it. Raises Failure where there can be none."""
    cluster, node = _serving(tx, event.cluster_id)
    entry = catalogue.datastore(tx.connection, cluster.datastore_id)
    if manager_for(entry).dumping is None:
        raise Failure(f"{entry.name} makes no backups that DTrove keeps: its data are not replaced by DTrove either",
                      what_to_do="bring the data back as its manager says")  # fmt: skip
    backups.chain(tx.connection, event.restore.backup_id, cluster.project_id, entry)
    backups.lock(tx, event.restore.backup_id)
    if restores.of_cluster(tx.connection, cluster.id) is not None:
        raise Failure("what was there before another restore is kept yet", what_to_do="confirm or undo that one first")
    kept = Restore(operation_id=event.operation_id, cluster_id=cluster.id, project_id=cluster.project_id,
                   backup_id=event.restore.backup_id, moment=event.restore.time, created_at=tx.database.clock.now())  # fmt: skip
    if restores.add(tx, kept):
        _file(tx, RESTORE, kept, node, event.operation_id)


def _confirm(tx: Tx, event: RestoreConfirmRequested) -> None:
    cluster = clusters.lock(tx, event.cluster_id)
    entry = restores.of_cluster(tx.connection, event.cluster_id)
    if cluster is None or entry is None:
        raise _nothing()
    if entry.state == State.UNDOING:
        raise Failure("the restore is just being undone", what_to_do="wait for the end of that")
    _drop(tx, cluster, entry, event.operation_id)


def _undo(tx: Tx, event: RestoreUndoRequested) -> None:
    """Raises Failure where nothing is there any more, or another node leads by now."""
    cluster, node = _serving(tx, event.cluster_id)
    entry = restores.of_cluster(tx.connection, cluster.id)
    if entry is None:
        raise _nothing()
    if entry.state == State.DROPPING:
        raise Failure("what was there before is on its way out", what_to_do="restore another backup")
    if entry.taken["instance"] != node.id:
        raise Failure(f"what was there before lies on {entry.taken['name']}, which is not the primary any more",
                      what_to_do=f"switch over to {entry.taken['name']} first")  # fmt: skip
    # Another node may have led meanwhile, and given way again.
    entry.taken = {**entry.taken, "primary": cluster.primary_id, "history": cluster.history}
    entry.become(State.UNDOING)
    restores.save(tx, entry)
    _file(tx, UNDO, entry, node, event.operation_id)


def _drop(tx: Tx, cluster: Cluster, entry: Restore, operation_id: str) -> None:
    """From here on it cannot be undone. Where the node is gone, it has taken along what lay there."""
    entry.become(State.DROPPING)
    node = clusters.find_instance(tx.connection, entry.taken["instance"])
    if node is None or node.status in GOING or node.server != entry.taken["server"]:
        entry.become(State.ENDED)
        tx.emit(ClusterRestoreConfirmed(cluster_id=cluster.id, project_id=cluster.project_id, operation_id=operation_id,
                                        restore_id=entry.operation_id))  # fmt: skip
    else:
        _file(tx, DROP, entry, node, operation_id, name=FORMER)
    restores.save(tx, entry)


def _file(tx: Tx, kind: str, entry: Restore, node: Instance, operation_id: str, **more: str) -> None:
    file_task(tx, kind, node, operation_id, task_id(kind, operation_id), subject=subject(entry.cluster_id),
              restore_id=entry.operation_id, **more)  # fmt: skip


def _serving(tx: Tx, cluster_id: str) -> tuple[Cluster, Instance]:
    """A cluster, and its primary. Raises Failure where it does not serve."""
    cluster = clusters.lock(tx, cluster_id)
    nodes = clusters.instances(tx.connection, cluster_id)
    node = next((one for one in nodes if cluster is not None and cluster.leads(one.id)), None)
    if cluster is None or node is None or cluster.status != ClusterStatus.ACTIVE:
        raise Failure("the cluster does not serve", what_to_do="wait until it is active")
    return cluster, node


def _nothing() -> Failure:
    return Failure("nothing is kept of before a restore", what_to_do="see `dtrove cluster show`")
