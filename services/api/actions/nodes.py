"""Instances in the read model: facts are gathered as they come, in any order, and the status follows from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, case, or_, select, update

from services.api.actions import health, operations
from services.api.actions.feed import said_since
from services.api.store import tables
from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.db import Tx, UtcDateTime

# There is nothing after that, whatever is heard later.
GONE = {"status": "deleted", "server_state": "deleted"}


# Every word about a node asks some of these: they are put together once.
_c, _t = tables.clusters, tables.instances
_CHANGE = update(_t).where(_t.c.id == bindparam("of_id"))
_AT = bindparam("at", type_=UtcDateTime)
_NEWER = and_(_t.c.server_state != "deleted", or_(_t.c.server_at.is_(None), _t.c.server_at < _AT))
_CHANGE_IF_NEWER = _CHANGE.where(_NEWER)
_STOPPED = select(_c.c.id).where(_c.c.id == _t.c.cluster_id, _c.c.status == "stopped").exists()
_SETTLE = _CHANGE.values(
    status=case(
        (_t.c.server_state == "deleted", "deleted"),
        (_t.c.server_state == "failed", "failed"),
        (_t.c.server_state == "requested", "requested"),
        # A node that is on its way out stays so, on a server that was switched off.
        (and_(_t.c.server_state == "off", _t.c.status == "deleting"), "deleting"),
        (_t.c.server_state == "off", "off"),
        (and_(_t.c.ready, _STOPPED), "stopped"),
        (_t.c.ready, "active"),
        else_="building",
    )
)


def server_active(tx: Tx, event: provisioner.InstanceActive) -> None:
    """The provisioner says that a server is up."""
    place = {"addr": event.addr, "server": event.server, "message": ""}
    _server_said(tx, event.instance_id, "active", event.occurred_at, **place)


def server_failed(tx: Tx, event: provisioner.InstanceFailed) -> None:
    """The provisioner says that a server could not be had, or could not be removed: then the delete has failed."""
    _server_said(tx, event.instance_id, "failed", event.occurred_at, message=event.problem.message)
    o = tables.operations
    removing = or_(o.c.kind.in_(("delete_cluster", "remove_node")), o.c.status == "cancelling")
    query = select(o.c.id).where(o.c.id == event.operation_id, removing)
    if event.problem.step == "destroy" and tx.connection.execute(query).first() is not None:
        operations.end(tx, event.operation_id, "failed", event.problem)


def server_deleted(tx: Tx, event: provisioner.InstanceDeleted) -> None:
    """The provisioner says that a server is gone."""
    tx.connection.execute(_CHANGE, {"of_id": event.instance_id, **GONE})
    health.forget_nodes(tx, (event.instance_id,))


def server_fenced(tx: Tx, event: provisioner.InstanceFenced) -> None:
    """The provisioner says that a server is off: nothing on it answers."""
    _server_said(tx, event.instance_id, "off", event.occurred_at, message="", **_not_ready(tx, event))


def server_powered(tx: Tx, event: provisioner.InstancePowered) -> None:
    """The provisioner says that a server runs again; its database has still to be started."""
    place = {"addr": event.addr, "message": ""}
    _server_said(tx, event.instance_id, "active", event.occurred_at, **place, **_not_ready(tx, event))


def power_failed(tx: Tx, event: provisioner.InstancePowerFailed) -> None:
    """The provisioner says that a server could not be switched: how it is, nobody knows, so its state stays as it was."""
    t = tables.instances
    alive = (t.c.id == event.instance_id, t.c.server_state != "deleted")
    tx.connection.execute(update(t).where(*alive).values(message=event.problem.message))


def node_ready(tx: Tx, event: databases.NodeReady) -> None:
    """The database on a server answers."""
    tx.connection.execute(_CHANGE, {"of_id": event.instance_id, "ready": True})
    _settle(tx, event.instance_id)


def identity_changed(tx: Tx, event: databases.NodeIdentityChanged) -> None:
    """A host shows a key that is not its own."""
    words = f"the host at {event.addr} shows another key than the pinned one; nothing is sent to it"
    tx.connection.execute(_CHANGE, {"of_id": event.instance_id, "message": words})


def _not_ready(tx: Tx, event: provisioner.InstanceFenced | provisioner.InstancePowered) -> dict[str, Any]:
    """That the database is not ready, unless it has become so since, and that was heard before this."""
    t = tables.instances
    row = tx.connection.execute(select(t.c.project_id).where(t.c.id == event.instance_id)).first()
    about = ("instance_id", event.instance_id)
    if row is not None and said_since(tx, row.project_id, ("node.ready",), about, event.occurred_at):
        return {}
    return {"ready": False}


def _server_said(tx: Tx, instance_id: str, state: str, at: datetime, **values: Any) -> None:
    """Only the provisioner's newest word counts; all of them carry its own time."""
    said = {"server_state": state, "server_at": at, **values}
    tx.connection.execute(_CHANGE_IF_NEWER, {"of_id": instance_id, "at": at, **said})
    _settle(tx, instance_id)


def settle_all(tx: Tx, cluster_id: str) -> None:
    """Have the status of a cluster's instances follow from what is known, after it was stopped or started."""
    t = tables.instances
    for one in tx.connection.execute(select(t.c.id).where(t.c.cluster_id == cluster_id).order_by(t.c.id)).scalars():
        _settle(tx, one)


def _settle(tx: Tx, instance_id: str) -> None:
    tx.connection.execute(_SETTLE, {"of_id": instance_id})
