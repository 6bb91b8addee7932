"""The backup that a new cluster is to begin with: whether it may, and whether it has room."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from services.api.domain.backups import Status, too_small
from services.api.store import tables
from shared.db import Tx
from shared.errors import FieldError, Invalid


def lock(tx: Tx, project_id: str, asked: dict[str, Any], datastore: Row[Any], flavor: Row[Any]) -> Row[Any] | None:
    """The backup, which nobody deletes until this transaction ends; None where none is asked for. Raises Invalid."""
    return _checked(tx.connection, _query(project_id, asked).with_for_update(), asked, datastore, flavor)


def look(
    connection: Connection, project_id: str, asked: dict[str, Any], datastore: Row[Any], flavor: Row[Any]
) -> Row[Any] | None:
    """The same, only looked at."""
    return _checked(connection, _query(project_id, asked), asked, datastore, flavor)


def told(backup: Row[Any], name: str) -> str:
    """What a plan says of it."""
    return f"the data of cluster {backup.cluster_name}, as of {backup.finished_at:%Y-%m-%d %H:%M:%S} UTC: to {name}"


def _query(project_id: str, asked: dict[str, Any]) -> Any:
    b, wanted = tables.backups, (asked["restore"] or {}).get("backup", "")
    return select(b).where(b.c.id == wanted, b.c.project_id == project_id, b.c.status != Status.DELETED)


def _checked(
    connection: Connection, query: Any, asked: dict[str, Any], datastore: Row[Any], flavor: Row[Any]
) -> Row[Any] | None:
    if asked["restore"] is None:
        return None
    backup: Row[Any] | None = connection.execute(query).first()
    if backup is None:
        raise _refused(FieldError("restore.backup", f"there is no backup {asked['restore']['backup']}"))
    if backup.status != Status.COMPLETED:
        words = f"is {backup.status}: only what is completed can be restored"
        raise _refused(FieldError("restore.backup", words))
    if errors := _objections(backup, asked, datastore, flavor):
        raise _refused(*errors)
    return backup


def _objections(backup: Row[Any], asked: dict[str, Any], datastore: Row[Any], flavor: Row[Any]) -> list[FieldError]:
    errors, was = [], backup.datastore
    if (was["manager"], was["version"]) != (datastore.manager, datastore.version):
        errors.append(FieldError("datastore", f"must be `{was['manager']} {was['version']}`, of which the backup is"))
    had_gb = backup.volume_gb or backup.flavor.get("disk_gb", 0)
    field, words = too_small(had_gb, asked["volume_gb"], flavor.disk_gb)
    if words:
        errors.append(FieldError(field, words))
    there = "come with the backup: make others once the cluster is active"
    errors += [FieldError(name, there) for name in ("databases", "users") if asked[name]]
    return errors


def _refused(*errors: FieldError) -> Invalid:
    return Invalid("the request was not accepted", errors, what_to_do="mend the fields named in `errors`")
