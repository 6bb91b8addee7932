"""Imports, as the bus tells of what is wanted; and what a plan of one is made of."""

from __future__ import annotations

from typing import Any

from services.datastore_agentless.actions.requests import file_task
from services.datastore_agentless.domain.backup import State as ExportState
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.export import Export
from services.datastore_agentless.domain.importing import Contents, Import, contents
from services.datastore_agentless.store import accounts, catalogue, clusters, exports, imports
from services.datastore_agentless.workflows.keeping import IMPORT
from services.datastore_agentless.workflows.on_host import ManagerFor
from shared.contracts.accounts import Accounts
from shared.contracts.api import ImportRequested
from shared.contracts.imports import ImportFailed
from shared.contracts.values import Problem
from shared.db import Database, Tx
from shared.errors import Conflict, DtroveError, Failure, NotFound
from shared.workflow import task_id


def request_import(database: Database, event: ImportRequested, manager_for: ManagerFor) -> None:
    """File an import into a cluster; what cannot be is answered with a failure."""
    with database.write() as tx:
        if not tx.first_seen(event.event_id, "request_import"):
            # Whoever says it again has missed the answer, where there was one.
            tx.repeat(event.operation_id)
            return
        try:
            _begin(tx, event, manager_for)
        except DtroveError as error:
            problem = Problem(step="begin", message=error.message, what_to_do=error.what_to_do)
            tx.emit(ImportFailed(import_id=event.import_id, cluster_id=event.cluster_id,
                                 operation_id=event.operation_id, problem=problem))  # fmt: skip


def import_at_hand(database: Database, spec: dict[str, Any]) -> tuple[Contents, Accounts]:
    """What a plan is made of: what is in the export, and what the cluster's server listed last. Raises NotFound, Conflict."""
    with database.read() as connection:
        export = exports.get(connection, spec["export_id"])
        listed = accounts.seen(connection, spec["cluster_id"])
    if export.state != ExportState.COMPLETED:
        raise Conflict(f"export {export.id} is {export.state}", what_to_do="name one that is completed")
    return contents(export), listed


def _begin(tx: Tx, event: ImportRequested, manager_for: ManagerFor) -> None:
    """Record an import, and file what makes it. Raises Failure, NotFound where there can be none."""
    cluster = clusters.lock(tx, event.cluster_id)
    nodes = clusters.instances(tx.connection, event.cluster_id)
    node = next((one for one in nodes if cluster is not None and cluster.leads(one.id)), None)
    if cluster is None or node is None or cluster.status != ClusterStatus.ACTIVE:
        raise Failure("the cluster does not serve", what_to_do="wait until it is active")
    export = exports.get(tx.connection, event.export_id)
    _see_that_it_fits(tx, cluster, export, manager_for)
    entry = Import(id=event.import_id, cluster_id=cluster.id, project_id=cluster.project_id, operation_id=event.operation_id,
                   export_id=export.id, created_at=tx.database.clock.now(), instance_id=node.id)  # fmt: skip
    if not imports.add(tx, entry):
        tx.repeat(event.operation_id)
        return
    file_task(tx, IMPORT, node, event.operation_id, task_id(IMPORT, entry.id), subject=task_id("import", cluster.id),
              import_id=entry.id)  # fmt: skip


def _see_that_it_fits(tx: Tx, cluster: Cluster, export: Export, manager_for: ManagerFor) -> None:
    """Raises Failure for an export of another engine, of which nobody is sure that it is whole, or of another project."""
    if export.project_id != cluster.project_id:
        raise NotFound(f"there is no export {export.id}")
    if export.state != ExportState.COMPLETED:
        raise Failure(f"export {export.id} is {export.state}", what_to_do="name one that is completed")
    entry = catalogue.datastore(tx.connection, cluster.datastore_id)
    if manager_for(entry).importing is None:
        raise Failure(f"{entry.name} takes no imports", what_to_do="use the database's own client")
    if export.datastore["manager"] != entry.manager:
        raise Failure(f"the export is of {export.datastore['name']}, and the cluster is of {entry.name}",
                      what_to_do="import it into a cluster of the same engine")  # fmt: skip
