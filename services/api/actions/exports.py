"""What users ask of exports: one to be made, one to be gone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from services.api.actions import clusters, operations, quotas
from services.api.actions.backups import BODILESS, size_of_last
from services.api.actions.feed import announce
from services.api.domain.backups import BEING_MADE, Status
from services.api.store import tables
from shared.contracts.api import ExportDeleteRequested, ExportRequested
from shared.contracts.base import new_id
from shared.contracts.exports import FORMATS, objection
from shared.db import Tx
from shared.errors import Conflict, FieldError, Invalid, NotFound

_e = tables.exports


def request(tx: Tx, project_id: str, cluster_id: str, asked: dict[str, Any]) -> tuple[str, str]:
    """Ask for an export now; returns its id and the operation's. Raises NotFound, Conflict, Invalid.

    It only reads: nothing else on the cluster waits for it.
    """
    row = clusters.lock(tx, project_id, cluster_id)
    if row.status == "stopped":
        raise Conflict(
            f"cluster {row.name} is stopped: nothing on it can be asked for data", what_to_do="start it first"
        )
    if row.status in BODILESS:
        raise Conflict(f"cluster {row.name} is {row.status}: there is nothing to export",
                       what_to_do="wait until it is active")  # fmt: skip
    engine = _engine(tx.connection, row)
    wanted = {**asked, "format": asked["format"] or FORMATS[engine][0]}
    field, reason = objection(engine, wanted["format"], wanted["databases"], wanted["tables"])
    if field:
        raise Invalid("the request was not accepted", (FieldError(field, reason),), what_to_do="mend that field")
    about_bytes = size_of_last(tx.connection, cluster_id)
    quotas.make_room_for_export(tx, project_id, about_bytes)
    operation_id = operations.start_operation(tx, operations.EXPORT, cluster_id, project_id, exclusive=False)
    export_id = new_id()
    tx.insert_new(
        _e, id=export_id, project_id=project_id, cluster_id=cluster_id, operation_id=operation_id, deletion_id="",
        cluster_name=row.name, datastore=row.datastore, status=Status.REQUESTED, counted_bytes=about_bytes, message="",
        created_at=tx.database.clock.now(), **wanted,
    )  # fmt: skip
    wish = ExportRequested(
        operation_id=operation_id, export_id=export_id, cluster_id=cluster_id, project_id=project_id,
        format=wanted["format"], databases=tuple(wanted["databases"]), tables=tuple(wanted["tables"]),
        encrypted=wanted["encrypted"], store=wanted["store"],
    )  # fmt: skip
    announce(tx, wish, project_id)
    return export_id, operation_id


def delete(tx: Tx, project_id: str, export_id: str) -> str:
    """Ask that an export goes, also one whose cluster is gone; returns the operation's id, the same when asked again.

    Raises NotFound, Conflict.
    """
    cluster_id = get(tx.connection, project_id, export_id).cluster_id
    c = tables.clusters
    # The cluster first, as everybody locks.
    tx.connection.execute(select(c.c.id).where(c.c.id == cluster_id).with_for_update())
    row = _found(tx.connection.execute(_mine(project_id, export_id).with_for_update()).first(), export_id)
    if row.status == Status.DELETING:
        return str(row.deletion_id)
    if row.status in BEING_MADE:
        raise Conflict("the export is being made",
                       what_to_do=f"wait for its end, or cancel the operation {row.operation_id}")  # fmt: skip
    operation_id = operations.start_operation(tx, operations.DELETE_EXPORT, cluster_id, project_id, exclusive=False)
    change(tx, export_id, status=Status.DELETING, deletion_id=operation_id, problem=None, message="")
    wish = ExportDeleteRequested(
        operation_id=operation_id, export_id=export_id, cluster_id=cluster_id, project_id=project_id
    )
    announce(tx, wish, project_id)
    return operation_id


def get(connection: Connection, project_id: str, export_id: str) -> Row[Any]:
    """An export of this project that is not deleted. Raises NotFound, also for another project's."""
    return _found(connection.execute(_mine(project_id, export_id)).first(), export_id)


def whole(connection: Connection, project_id: str, export_id: str) -> Row[Any]:
    """The same, which can be had. Raises NotFound, Conflict."""
    row = get(connection, project_id, export_id)
    if row.status != Status.COMPLETED:
        raise Conflict(f"the export is {row.status}", what_to_do="name one that is completed")
    return row


def resume(tx: Tx, operation_id: str) -> None:
    """The operation that was to make an export, and has failed, goes on."""
    again = {"status": Status.REQUESTED, "problem": None, "message": "", "finished_at": None}
    failed = update(_e).where(_e.c.operation_id == operation_id, _e.c.status == Status.FAILED)
    tx.connection.execute(failed.values(**again))


def change(tx: Tx, export_id: str, **values: Any) -> None:
    """Change what is known of an export."""
    tx.connection.execute(update(_e).where(_e.c.id == export_id).values(**values))


def _engine(connection: Connection, cluster: Row[Any]) -> str:
    """By whose rules the cluster's data are exported. Raises Conflict where nobody here knows."""
    t = tables.datastores
    found = connection.execute(select(t.c.dialect).where(t.c.id == cluster.datastore["id"])).scalar() or ""
    if found not in FORMATS:
        raise Conflict(f"{cluster.datastore['name']} makes no exports",
                       what_to_do="use the database's own client, with the administrator's login")  # fmt: skip
    return str(found)


def _mine(project_id: str, export_id: str) -> Any:
    return select(_e).where(_e.c.id == export_id, _e.c.project_id == project_id, _e.c.status != Status.DELETED)


def _found(row: Row[Any] | None, export_id: str) -> Row[Any]:
    if row is None:
        raise NotFound(f"there is no export {export_id[:64]}")
    return row
