"""Exports, as the bus tells of what is wanted: one to make, one to delete; and what is needed to have one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.datastore_agentless.actions.requests import file_task
from services.datastore_agentless.backup_stores.stores import Stores
from services.datastore_agentless.domain.age_key import AgeKey
from services.datastore_agentless.domain.backup import State, source
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.export import Export
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.store import catalogue, clusters, exports
from services.datastore_agentless.workflows.export_manifests import parts_of
from services.datastore_agentless.workflows.keeping import DELETE_EXPORT, EXPORT
from services.datastore_agentless.workflows.on_host import ManagerFor
from shared.contracts.api import ExportDeleteRequested, ExportRequested
from shared.contracts.exports import ExportDeleted, ExportFailed, objection
from shared.contracts.values import Problem
from shared.db import Database, Tx, tasks
from shared.errors import Conflict, Failure, Retryable, Unavailable
from shared.secrets import Secret
from shared.workflow import TaskDraft, task_id

Seal = Callable[[Secret], str]


def change_exports(
    database: Database, event: ExportRequested | ExportDeleteRequested, manager_for: ManagerFor, stores: Stores
) -> None:
    """File an export of a cluster, or the removal of one."""
    if isinstance(event, ExportRequested):
        _request(database, event, manager_for, stores)
    else:
        _delete(database, event)


def _request(database: Database, event: ExportRequested, manager_for: ManagerFor, stores: Stores) -> None:
    """File an export of a cluster; what cannot be is answered with a failure."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "request_export"):
            # Whoever says it again has missed the answer, where there was one.
            tx.repeat(event.operation_id)
            return
        try:
            _begin(tx, event, manager_for, stores)
        except Failure as error:
            problem = Problem(step="begin", message=error.message, what_to_do=error.what_to_do)
            tx.emit(ExportFailed(export_id=event.export_id, cluster_id=event.cluster_id,
                                 operation_id=event.operation_id, problem=problem))  # fmt: skip


def _delete(database: Database, event: ExportDeleteRequested) -> None:
    """File the removal of an export; one that is being made is stopped first, and of one that is unknown nothing is kept."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "delete_export"):
            tx.repeat(event.operation_id)
            return
        export = exports.find_locked(tx, event.export_id)
        if export is None or export.state == State.DELETED:
            tx.emit(ExportDeleted(export_id=event.export_id, cluster_id=event.cluster_id,
                                  operation_id=event.operation_id))  # fmt: skip
            return
        if export.state == State.MAKING:
            tasks.cancel(tx, operation_id=export.operation_id, kinds=(EXPORT,))
        else:
            export.become(State.DELETING)
            exports.save(tx, export)
        tx.file(TaskDraft(id=task_id(DELETE_EXPORT, event.operation_id), kind=DELETE_EXPORT,
                          subject=task_id(DELETE_EXPORT, export.id), cluster_id=export.cluster_id,
                          operation_id=event.operation_id, payload={"export_id": export.id}))  # fmt: skip


def export_content(database: Database, stores: Stores, seal: Seal, export_id: str) -> dict[str, Any]:
    """Where an export can be read: a sealed URL, or files beside DTrove, one after the other. Raises NotFound, Conflict, Unavailable."""
    export = _whole(database, export_id)
    try:
        found = stores.get(export.store).content(export.key, parts_of(export), export.file_kept)
    except Retryable as error:
        raise Unavailable(error.message, what_to_do=error.what_to_do) from error
    except Failure as error:
        raise Conflict(error.message, what_to_do=error.what_to_do) from error
    return {"sealed_url": seal(found.url) if found.url else "", "files": list(found.files)}


def export_key(database: Database, seal: Seal, export_id: str) -> dict[str, str]:
    """What opens an export, sealed; empty where it is not encrypted. Raises NotFound, Conflict."""
    identity = _whole(database, export_id).identity
    return {"sealed_key": seal(identity) if identity else ""}


def _whole(database: Database, export_id: str) -> Export:
    with database.read() as connection:
        export = exports.get(connection, export_id)
    if export.state != State.COMPLETED:
        raise Conflict(f"export {export_id} is {export.state}", what_to_do="name one that is completed")
    return export


def _begin(tx: Tx, event: ExportRequested, manager_for: ManagerFor, stores: Stores) -> None:
    """Record an export with a key of its own, and file what makes it. Raises Failure where there can be none."""
    store = event.store or stores.usual
    if store not in stores.names:
        raise Failure(f"there is no backup store {store!r}", what_to_do=f"name one of {', '.join(stores.names)}")
    cluster, node = _source(tx, event.cluster_id)
    entry = catalogue.datastore(tx.connection, cluster.datastore_id)
    exporting = manager_for(entry).exporting
    if exporting is None:
        raise Failure(f"{entry.name} makes no exports", what_to_do="use the database's own client")
    field, reason = objection(exporting.engine, event.format, event.databases, event.tables)
    if field:
        raise Failure(f"{field} {reason}", what_to_do="ask for another export")
    key = AgeKey.create(cluster.project_id) if event.encrypted else None
    export = Export(
        id=event.export_id, cluster_id=cluster.id, project_id=cluster.project_id, operation_id=event.operation_id,
        created_at=tx.database.clock.now(), cluster_name=cluster.name, format=event.format, store=store,
        key=f"{cluster.project_id}/{cluster.id}/exports/{event.export_id}", databases=list(event.databases),
        tables=list(event.tables), recipient=key.public if key else "", identity=key.private if key else Secret(""),
        instance_id=node.id, datastore={"manager": entry.manager, "version": entry.version, "name": entry.name},
    )  # fmt: skip
    if not exports.add(tx, export):
        tx.repeat(event.operation_id)
        return
    file_task(tx, EXPORT, node, event.operation_id, task_id(EXPORT, export.id), subject=task_id("export", cluster.id),
              export_id=export.id)  # fmt: skip


def _source(tx: Tx, cluster_id: str) -> tuple[Cluster, Instance]:
    """A cluster, and a node of it that serves at this moment. Raises Failure where there is none."""
    cluster = clusters.lock(tx, cluster_id)
    if cluster is not None and cluster.status == ClusterStatus.STOPPED:
        raise Failure("the cluster is stopped", what_to_do="start it first")
    nodes = clusters.instances(tx.connection, cluster_id)
    node = None if cluster is None else source(cluster, nodes, {}, tx.database.clock.now())
    if cluster is None or node is None:
        raise Failure("the cluster has no node that is ready", what_to_do="wait until the cluster is active")
    return cluster, node
