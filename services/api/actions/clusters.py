"""What users ask of clusters: rows and a wish on the bus, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from services.api.actions import definitions, operations, parameter_groups, quotas, restoring
from services.api.actions.choices import check, reference, topology
from services.api.actions.desk import Seal, at_first, unsealed
from services.api.actions.feed import announce, remember
from services.api.actions.operations import start_operation
from services.api.store import tables
from shared.contracts.api import (
    ClusterDeleteRequested,
    ClusterRequested,
    FailoverChosen,
    PerformRequested,
)
from shared.contracts.backups import ProofWish
from shared.contracts.base import dump, new_id
from shared.contracts.values import Flavor, InstanceRef
from shared.db import Tx
from shared.errors import Conflict, NotFound

# What is asked of nearly every cluster is put together once.
_c, _i = tables.clusters, tables.instances
_MINE = select(_c).where(
    _c.c.id == bindparam("of_id"), _c.c.project_id == bindparam("of_project"), _c.c.deleted_at.is_(None)
)
_MINE_LOCKED = _MINE.with_for_update()
_ADD_INSTANCE = insert(_i).values(
    status="requested", addr="", server="", message="", server_state="requested", ready=False
)
_DELETING = update(_c).where(_c.c.id == bindparam("of_id")).values(status="deleting", message="")
_INSTANCE_IDS = select(_i.c.id).where(_i.c.cluster_id == bindparam("of_cluster"))


def create(
    tx: Tx, project_id: str, asked: dict[str, Any], max_size: int, seal: Seal | None = None, proof: ProofWish | None = None
) -> tuple[str, str]:  # fmt: skip
    """Make a cluster's row and ask for it; returns its id and the operation's. Raises Invalid, Conflict.

    Without `seal` it has no users from the start: what is to be kept of their passwords would go about in clear.
    """
    datastore, flavor = check(tx.connection, asked, max_size)
    source = restoring.lock(tx, project_id, asked, datastore, flavor, proves=proof is not None)
    if asked["parameter_group"]:
        parameter_groups.hold(tx, project_id)
    chosen = parameter_groups.first_set(tx.connection, project_id, datastore, asked)
    wanted = at_first(datastore, asked["databases"], asked["users"], seal)
    quotas.make_room(tx, project_id, asked)
    cluster_id = asked.get("id") or new_id()
    together = topology(datastore, asked)
    size = Flavor(id=flavor.id, name=flavor.name, vcpus=flavor.vcpus, ram_mb=flavor.ram_mb, disk_gb=flavor.disk_gb)
    is_new = tx.insert_new(
        tables.clusters,
        id=cluster_id, project_id=project_id, name=asked["name"], status="requested", size=asked["size"],
        datastore={"id": datastore.id, "name": datastore.name, "manager": datastore.manager, "version": datastore.version},
        flavor=vars(size), volume_gb=asked["volume_gb"], topology=dump(together) if together else None, message="",
        deletion_protection=asked["deletion_protection"], created_at=tx.database.clock.now(),
        restored_from=source.backup.id if source else None, restored_to=source.time if source else None,
        proves=source.backup.id if source and proof else None,
    )  # fmt: skip
    if not is_new:
        raise _taken(asked["name"])
    operation_id = start_operation(tx, operations.VERIFY if proof else "create_cluster", cluster_id, project_id)
    names = [f"{asked['name']}-{number}" for number in range(1, asked["size"] + 1)]
    refs = add_instances(tx, project_id, cluster_id, operation_id, names)
    wish = ClusterRequested(
        cluster_id=cluster_id, operation_id=operation_id, project_id=project_id, name=asked["name"],
        size=asked["size"], flavor=size, instances=refs, volume_gb=asked["volume_gb"], topology=together,
        datastore=reference(datastore), parameters=chosen.wanted, accounts=wanted,
        restore=source.reference if source else None, proof=proof,
    )  # fmt: skip
    definitions.born_with(tx, cluster_id, operation_id, chosen)
    tx.emit(wish)
    remember(tx, replace(wish, accounts=unsealed(wanted)), project_id)
    return cluster_id, operation_id


def add_instances(
    tx: Tx, project_id: str, cluster_id: str, operation_id: str, names: Iterable[str]
) -> tuple[InstanceRef, ...]:
    """Rows for instances that an operation is to make."""
    refs = tuple(InstanceRef(id=new_id(), name=name) for name in names)
    theirs = {"cluster_id": cluster_id, "project_id": project_id, "operation_id": operation_id}
    for ref in refs:
        tx.connection.execute(_ADD_INSTANCE, {"id": ref.id, "name": ref.name, **theirs})
    return refs


def _taken(name: str) -> Conflict:
    return Conflict(f"a cluster called {name!r} exists in this project", what_to_do="choose another name")


def patch(tx: Tx, project_id: str, cluster_id: str, changes: dict[str, Any]) -> None:
    """Change name, deletion protection, or who decides over failovers. Raises NotFound, Conflict."""
    row = lock(tx, project_id, cluster_id)
    if not changes:
        return
    if policy := changes.pop("failover", None):
        changes["topology"] = _with_policy(row, policy)
        announce(tx, FailoverChosen(cluster_id=cluster_id, project_id=project_id, failover=policy), project_id)
    try:
        with tx.connection.begin_nested():
            tx.connection.execute(update(tables.clusters).where(tables.clusters.c.id == cluster_id).values(**changes))
    except IntegrityError as error:
        raise _taken(changes["name"]) from error


def _with_policy(row: Row[Any], policy: str) -> dict[str, Any]:
    """The topology with this policy. Raises Conflict where there is nobody to fail over to."""
    if row.topology is None:
        raise Conflict(
            f"cluster {row.name} has one node: there is nobody to fail over to", what_to_do="add a node first"
        )
    return {**row.topology, "failover": policy}


def delete(tx: Tx, project_id: str, cluster_id: str) -> str:
    """Ask for a cluster's end, whatever state it is in; returns the operation's id.

    Asking again gives the same operation, or a new one where the first has failed. Raises NotFound, Conflict.
    """
    row = lock(tx, project_id, cluster_id)
    see_unprotected(row)
    if row.status == "deleting" and row.operation_id:
        return str(row.operation_id)
    return remove(tx, row)


def remove(tx: Tx, row: Row[Any]) -> str:
    """Have a cluster go that is locked, whatever runs on it; returns the operation's id."""
    operations.end_all(tx, row.id, "cancelled")
    operation_id = start_operation(tx, "delete_cluster", row.id, row.project_id)
    request_delete(tx, row, operation_id)
    return operation_id


def see_unprotected(row: Row[Any]) -> None:
    """Raises Conflict where somebody has it protected from deletion."""
    if row.deletion_protection:
        raise Conflict(f"cluster {row.name} is protected from deletion",
                       what_to_do='first PATCH it with {"deletion_protection": false}')  # fmt: skip


def perform(tx: Tx, project_id: str, instance_id: str, asked: dict[str, Any]) -> str:
    """Ask for commands on an instance; returns the operation's id. Raises NotFound, Conflict."""
    row = instance(tx.connection, project_id, instance_id)
    if not row.addr:
        raise Conflict(
            f"instance {row.name} is {row.status}: it has no address yet", what_to_do="wait until it is active"
        )
    operation_id = start_operation(tx, "perform", row.cluster_id, project_id, exclusive=False)
    wish = PerformRequested(
        operation_id=operation_id, cluster_id=row.cluster_id, project_id=project_id, instance_id=instance_id,
        name=asked["name"], commands=tuple(asked["commands"]),
    )  # fmt: skip
    announce(tx, wish, project_id)
    return operation_id


def get(connection: Connection, project_id: str, cluster_id: str) -> Row[Any]:
    """A cluster of this project that is not deleted. Raises NotFound, also for another project's."""
    return _found(connection.execute(_MINE, {"of_id": cluster_id, "of_project": project_id}).first(), cluster_id)


def lock(tx: Tx, project_id: str, cluster_id: str) -> Row[Any]:
    """The same, and nobody else changes it until this transaction ends. Raises NotFound."""
    mine = {"of_id": cluster_id, "of_project": project_id}
    return _found(tx.connection.execute(_MINE_LOCKED, mine).first(), cluster_id)


def instance(connection: Connection, project_id: str, instance_id: str) -> Row[Any]:
    """An instance of this project. Raises NotFound."""
    t = tables.instances
    row = connection.execute(select(t).where(t.c.id == instance_id, t.c.project_id == project_id)).first()
    if row is None or row.status == "deleted":
        raise NotFound(f"there is no instance {instance_id[:64]}")
    return row


def _found(row: Row[Any] | None, cluster_id: str) -> Row[Any]:
    if row is None:
        raise NotFound(f"there is no cluster {cluster_id[:64]}")
    return row


def request_delete(tx: Tx, row: Row[Any], operation_id: str) -> None:
    """Have a cluster go, under this operation."""
    tx.connection.execute(_DELETING, {"of_id": row.id, "operation_id": operation_id})
    ids = tuple(one.id for one in tx.connection.execute(_INSTANCE_IDS, {"of_cluster": row.id}))
    wish = ClusterDeleteRequested(
        cluster_id=row.id, operation_id=operation_id, project_id=row.project_id, instance_ids=ids
    )
    announce(tx, wish, row.project_id)
