"""Logins of administrators to instances: wished for, and over; both are written down."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from services.api.actions import clusters, operations
from services.api.actions.access import Caller
from services.api.store import tables
from shared.contracts.api import AccessRequested, AccessRevokeRequested
from shared.contracts.base import dump
from shared.contracts.datastore_agentless import AccessFailed, AccessGranted, AccessRevoked
from shared.db import Tx
from shared.errors import Conflict, NotFound

GRANT, REVOKE = "grant_access", "revoke_access"


def open_access(tx: Tx, who: Caller, instance_id: str, asked: dict[str, Any]) -> str:
    """Ask that an instance lets a key in; returns the operation's id. Raises NotFound, Conflict."""
    row = clusters.instance(tx.connection, who.project_id, instance_id)
    if not row.addr:
        raise Conflict(
            f"instance {row.name} is {row.status}: it has no address yet", what_to_do="wait until it has one"
        )
    operation_id = operations.start_operation(tx, GRANT, row.cluster_id, who.project_id, exclusive=False)
    tx.emit(
        AccessRequested(
            operation_id=operation_id, cluster_id=row.cluster_id, project_id=who.project_id, instance_id=instance_id,
            public_key=asked["public_key"], minutes=asked["minutes"],
        )
    )  # fmt: skip
    return operation_id


def close_access(tx: Tx, who: Caller, instance_id: str, access: str) -> str:
    """Ask that the key which the operation `access` let in is shut out; returns the operation's id. Raises NotFound."""
    row = clusters.instance(tx.connection, who.project_id, instance_id)
    o = tables.operations
    granted = select(o.c.id).where(o.c.id == access, o.c.kind == GRANT, o.c.cluster_id == row.cluster_id)
    if tx.connection.execute(granted).first() is None:
        raise NotFound(f"there is no access {access} to instance {row.name}")
    operation_id = operations.start_operation(tx, REVOKE, row.cluster_id, who.project_id, exclusive=False)
    tx.emit(
        AccessRevokeRequested(operation_id=operation_id, cluster_id=row.cluster_id, project_id=who.project_id,
                              instance_id=instance_id, access=access)
    )  # fmt: skip
    return operation_id


def granted(tx: Tx, event: AccessGranted) -> None:
    """The instance lets the key in: the operation's result says how to get there."""
    shown = dump(event)
    names = ("host", "port", "user", "host_keys", "expires_at", "jump")
    operations.end(tx, event.operation_id, "succeeded", result={name: shown[name] for name in names})


def revoked(tx: Tx, event: AccessRevoked) -> None:
    """The key is shut out."""
    operations.end(tx, event.operation_id, "succeeded")


def failed(tx: Tx, event: AccessFailed) -> None:
    """It could not be done, or was cancelled."""
    operations.end(tx, event.operation_id, "cancelled" if event.cancelled else "failed", event.problem)
