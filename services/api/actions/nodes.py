"""Instances in the read model: facts are gathered as they come, in any order, and the status follows from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, or_, select, update

from services.api.actions import health, operations
from services.api.actions.feed import said_since
from services.api.store import tables
from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.db import Tx

# There is nothing after that, whatever is heard later.
GONE = {"status": "deleted", "server_state": "deleted"}


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
    t = tables.instances
    tx.connection.execute(update(t).where(t.c.id == event.instance_id).values(**GONE))
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
    t = tables.instances
    tx.connection.execute(update(t).where(t.c.id == event.instance_id).values(ready=True))
    _settle(tx, event.instance_id)


def identity_changed(tx: Tx, event: databases.NodeIdentityChanged) -> None:
    """A host shows a key that is not its own."""
    t = tables.instances
    words = f"the host at {event.addr} shows another key than the pinned one; nothing is sent to it"
    tx.connection.execute(update(t).where(t.c.id == event.instance_id).values(message=words))


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
    t = tables.instances
    newer = and_(t.c.server_state != "deleted", or_(t.c.server_at.is_(None), t.c.server_at < at))
    tx.connection.execute(
        update(t).where(t.c.id == instance_id, newer).values(server_state=state, server_at=at, **values)
    )
    _settle(tx, instance_id)


def settle_all(tx: Tx, cluster_id: str) -> None:
    """Have the status of a cluster's instances follow from what is known, after it was stopped or started."""
    t = tables.instances
    for one in tx.connection.execute(select(t.c.id).where(t.c.cluster_id == cluster_id).order_by(t.c.id)).scalars():
        _settle(tx, one)


def _settle(tx: Tx, instance_id: str) -> None:
    c, t = tables.clusters, tables.instances
    stopped = select(c.c.id).where(c.c.id == t.c.cluster_id, c.c.status == "stopped").exists()
    status = case(
        (t.c.server_state == "deleted", "deleted"),
        (t.c.server_state == "failed", "failed"),
        (t.c.server_state == "requested", "requested"),
        # A node that is on its way out stays so, on a server that was switched off.
        (and_(t.c.server_state == "off", t.c.status == "deleting"), "deleting"),
        (t.c.server_state == "off", "off"),
        (and_(t.c.ready, stopped), "stopped"),
        (t.c.ready, "active"),
        else_="building",
    )
    tx.connection.execute(update(t).where(t.c.id == instance_id).values(status=status))
