"""What users ask of imports: that what an export has comes into a cluster that serves."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from services.api.actions import clusters, exports, operations, scaling
from services.api.actions.feed import announce
from services.api.domain.imports import Status
from services.api.store import tables
from shared.contracts.api import ImportRequested
from shared.contracts.base import new_id
from shared.db import Tx
from shared.errors import Conflict, NotFound

_i = tables.imports


def request(tx: Tx, project_id: str, cluster_id: str, asked: dict[str, Any]) -> tuple[str, str]:
    """Ask for an import now, alone on its cluster; returns its id and the operation's. Raises NotFound, Conflict."""
    row = clusters.lock(tx, project_id, cluster_id)
    export = _fitting(tx.connection, row, asked["export"])
    operation_id = operations.start_operation(tx, operations.IMPORT, cluster_id, project_id)
    import_id = new_id()
    tx.insert_new(
        _i, id=import_id, project_id=project_id, cluster_id=cluster_id, operation_id=operation_id, export_id=export.id,
        cluster_name=row.name, status=Status.REQUESTED, message="", created_at=tx.database.clock.now(),
    )  # fmt: skip
    wish = ImportRequested(
        operation_id=operation_id,
        import_id=import_id,
        cluster_id=cluster_id,
        project_id=project_id,
        export_id=export.id,
    )
    announce(tx, wish, project_id)
    return import_id, operation_id


def plan_of(connection: Connection, project_id: str, cluster_id: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What datastore_agentless is asked for a plan. Raises NotFound, Conflict."""
    row = clusters.get(connection, project_id, cluster_id)
    return {"cluster_id": cluster_id, "export_id": _fitting(connection, row, asked["export"]).id}


def get(connection: Connection, project_id: str, import_id: str) -> Row[Any]:
    """An import of this project. Raises NotFound, also for another project's."""
    row = connection.execute(select(_i).where(_i.c.id == import_id, _i.c.project_id == project_id)).first()
    if row is None:
        raise NotFound(f"there is no import {import_id[:64]}")
    return row


def resume(tx: Tx, operation_id: str) -> None:
    """The operation that was to import, and has failed, goes on."""
    again = {"status": Status.REQUESTED, "problem": None, "message": "", "finished_at": None}
    failed = update(_i).where(_i.c.operation_id == operation_id, _i.c.status == Status.FAILED)
    tx.connection.execute(failed.values(**again))


def change(tx: Tx, import_id: str, **values: Any) -> None:
    """Change what is known of an import."""
    tx.connection.execute(update(_i).where(_i.c.id == import_id).values(**values))


def _fitting(connection: Connection, cluster: Row[Any], export_id: str) -> Row[Any]:
    """An export that the cluster can take. Raises NotFound, Conflict."""
    scaling.serves(cluster)
    export = exports.whole(connection, cluster.project_id, export_id)
    if export.datastore["manager"] != cluster.datastore["manager"]:
        raise Conflict(f"the export is of {export.datastore['name']}, and the cluster is of {cluster.datastore['name']}",
                       what_to_do="import it into a cluster of the same engine")  # fmt: skip
    return export
