"""What users ask of clusters: rows and a wish on the bus, in one transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from services.api.store import tables
from shared.contracts.api import (
    BackupRequested,
    ClusterDeleteRequested,
    ClusterRequested,
    OperationCancelRequested,
    OperationRetryRequested,
    PerformRequested,
)
from shared.contracts.base import new_id
from shared.contracts.values import DatastoreRef, Flavor, InstanceRef
from shared.db import Tx
from shared.errors import Conflict, FieldError, Invalid, NotFound, Unavailable

ALIASES = {"postgresql": "pgsql", "postgres": "pgsql", "mariadb": "mysql"}
RUNNING = ("pending", "running", "cancelling")


def find_datastore(connection: Connection, wanted: str) -> Row[Any]:
    """A datastore by id or as `mysql 10.11`. Raises Invalid, with what there is."""
    t = tables.datastores
    rows = connection.execute(select(t).where(t.c.deleted.is_(False)).order_by(t.c.manager, t.c.version)).all()
    if not rows:
        raise Unavailable("the catalogue of datastores has not arrived yet", what_to_do="try again shortly")
    name, _, version = wanted.replace(" - ", " ").strip().partition(" ")
    name = ALIASES.get(name.lower(), name.lower())
    for row in rows:
        if wanted == row.id or (row.manager == name and row.version == version.strip()):
            return row
    there = ", ".join(f"`{row.manager} {row.version}`" for row in rows)
    raise Invalid("unknown datastore", (FieldError("datastore", f"there is no {wanted[:80]!r}; there are {there}"),))


def find_flavor(connection: Connection, wanted: str) -> Row[Any]:
    """A flavor by id or name. Raises Invalid, with what there is."""
    rows = connection.execute(select(tables.flavors).order_by(tables.flavors.c.ram_mb)).all()
    if not rows:
        raise Unavailable("the provider's flavors have not arrived yet", what_to_do="try again shortly")
    for row in rows:
        if wanted in (row.id, row.name):
            return row
    there = ", ".join(row.name for row in rows)
    raise Invalid("unknown flavor", (FieldError("flavor", f"there is no {wanted[:80]!r}; there are {there}"),))


def check(connection: Connection, asked: dict[str, Any], max_size: int) -> tuple[Row[Any], Row[Any]]:
    """The datastore and flavor of a wish, if it can be granted. Raises Invalid with every objection."""
    datastore, flavor = find_datastore(connection, asked["datastore"]), find_flavor(connection, asked["flavor"])
    errors = []
    if asked["size"] > max_size:
        errors.append(FieldError("size", f"must be at most {max_size} (DTROVE_MAX_CLUSTER_SIZE)"))
    elif asked["size"] > 1:
        errors.append(FieldError("size", "clusters of several nodes are not built yet: ask for size 1"))
    if flavor.ram_mb < datastore.min_ram_mb:
        errors.append(
            FieldError("flavor", f"{datastore.name} needs {datastore.min_ram_mb} MB, {flavor.name} has {flavor.ram_mb}")
        )
    if asked["volume_gb"] and not flavor.supports_volumes:
        errors.append(FieldError("volume_gb", "this provider has no volumes: leave it out"))
    if errors:
        raise Invalid("the request was not accepted", tuple(errors), what_to_do="mend the fields named in `errors`")
    return datastore, flavor


def create(tx: Tx, project_id: str, asked: dict[str, Any], max_size: int) -> tuple[str, str]:
    """Make a cluster's row and ask for it; returns its id and the operation's. Raises Invalid, Conflict."""
    datastore, flavor = check(tx.connection, asked, max_size)
    t = tables.clusters
    same = select(t.c.id).where(t.c.project_id == project_id, t.c.name == asked["name"], t.c.deleted_at.is_(None))
    if tx.connection.execute(same).first():
        raise Conflict(f"a cluster called {asked['name']!r} exists in this project", what_to_do="choose another name")
    cluster_id = asked.get("id") or new_id()
    operation_id = start_operation(tx, "create_cluster", cluster_id, project_id)
    size = Flavor(id=flavor.id, name=flavor.name, vcpus=flavor.vcpus, ram_mb=flavor.ram_mb, disk_gb=flavor.disk_gb)
    tx.connection.execute(
        insert(t).values(
            id=cluster_id, project_id=project_id, name=asked["name"], status="requested", size=asked["size"],
            datastore={"id": datastore.id, "name": datastore.name, "manager": datastore.manager, "version": datastore.version},
            flavor=vars(size), volume_gb=asked["volume_gb"], operation_id=operation_id, message="",
            deletion_protection=asked["deletion_protection"], created_at=tx.database.clock.now(),
        )
    )  # fmt: skip
    refs = tuple(InstanceRef(id=new_id(), name=f"{asked['name']}-{number}") for number in range(1, asked["size"] + 1))
    for ref in refs:
        tx.connection.execute(
            insert(tables.instances).values(
                id=ref.id, cluster_id=cluster_id, project_id=project_id, name=ref.name, status="requested", addr="",
                server="", message="",
            )
        )  # fmt: skip
    tx.emit(
        ClusterRequested(
            cluster_id=cluster_id, operation_id=operation_id, project_id=project_id, name=asked["name"],
            size=asked["size"], flavor=size, instances=refs, volume_gb=asked["volume_gb"],
            datastore=DatastoreRef(
                id=datastore.id, manager=datastore.manager, version=datastore.version, image=datastore.image,
                packages=tuple(datastore.packages), name=datastore.name,
            ),
        )
    )  # fmt: skip
    return cluster_id, operation_id


def patch(tx: Tx, project_id: str, cluster_id: str, changes: dict[str, Any]) -> None:
    """Change name or deletion protection. Raises NotFound, Conflict."""
    get(tx.connection, project_id, cluster_id)
    t = tables.clusters
    if "name" in changes:
        same = select(t.c.id).where(
            t.c.project_id == project_id, t.c.name == changes["name"], t.c.deleted_at.is_(None), t.c.id != cluster_id
        )
        if tx.connection.execute(same).first():
            raise Conflict(
                f"a cluster called {changes['name']!r} exists in this project", what_to_do="choose another name"
            )
    if changes:
        tx.connection.execute(update(t).where(t.c.id == cluster_id).values(**changes))


def delete(tx: Tx, project_id: str, cluster_id: str) -> str:
    """Ask for a cluster's end, whatever state it is in; asking again gives the same operation. Returns the operation's id."""
    row = get(tx.connection, project_id, cluster_id)
    if row.deletion_protection:
        raise Conflict(f"cluster {row.name} is protected from deletion",
                       what_to_do='first PATCH it with {"deletion_protection": false}')  # fmt: skip
    if row.status == "deleting":
        return str(row.operation_id)
    _end_running(tx, cluster_id, "cancelled")
    operation_id = start_operation(tx, "delete_cluster", cluster_id, project_id)
    _request_delete(tx, row, operation_id)
    return operation_id


def cancel(tx: Tx, project_id: str, operation_id: str) -> None:
    """Stop an operation; a create is undone whole. Raises NotFound, Conflict."""
    row = operation(tx.connection, project_id, operation_id)
    if row.status not in RUNNING:
        raise Conflict(f"the operation is {row.status} already")
    if row.kind == "delete_cluster":
        raise Conflict("a delete cannot be cancelled", what_to_do="wait for its end")
    t = tables.operations
    tx.connection.execute(update(t).where(t.c.id == operation_id).values(status="cancelling"))
    if row.kind == "create_cluster":
        _request_delete(tx, get(tx.connection, project_id, row.cluster_id), operation_id)
    else:
        tx.emit(OperationCancelRequested(operation_id=operation_id, cluster_id=row.cluster_id))


def retry(tx: Tx, project_id: str, operation_id: str) -> None:
    """Let a failed operation go on from the step that failed. Raises NotFound, Conflict."""
    row = operation(tx.connection, project_id, operation_id)
    if row.status != "failed":
        raise Conflict(f"only a failed operation can be retried; this one is {row.status}")
    t = tables.operations
    tx.connection.execute(
        update(t).where(t.c.id == operation_id).values(status="running", problem=None, finished_at=None)
    )
    if row.kind == "create_cluster":
        c = tables.clusters
        tx.connection.execute(
            update(c).where(c.c.id == row.cluster_id, c.c.status == "failed").values(status="building", message="")
        )
    tx.emit(OperationRetryRequested(operation_id=operation_id, cluster_id=row.cluster_id))


def perform(tx: Tx, project_id: str, instance_id: str, asked: dict[str, Any]) -> str:
    """Ask for commands on an instance; returns the operation's id. Raises NotFound, Conflict."""
    row = instance(tx.connection, project_id, instance_id)
    if not row.addr:
        raise Conflict(
            f"instance {row.name} is {row.status}: it has no address yet", what_to_do="wait until it is active"
        )
    operation_id = start_operation(tx, "perform", row.cluster_id, project_id)
    tx.emit(
        PerformRequested(
            operation_id=operation_id, cluster_id=row.cluster_id, project_id=project_id, instance_id=instance_id,
            name=asked["name"], commands=tuple(asked["commands"]),
        )
    )  # fmt: skip
    return operation_id


def backup(tx: Tx, project_id: str, cluster_id: str, kind: str = "full") -> str:
    """Ask for a backup now; returns the operation's id. Raises NotFound."""
    get(tx.connection, project_id, cluster_id)
    operation_id = start_operation(tx, "backup", cluster_id, project_id)
    tx.emit(
        BackupRequested(
            operation_id=operation_id, backup_id=new_id(), cluster_id=cluster_id, project_id=project_id, kind=kind
        )
    )
    return operation_id


def get(connection: Connection, project_id: str, cluster_id: str) -> Row[Any]:
    """A cluster of this project that is not deleted. Raises NotFound, also for another project's."""
    t = tables.clusters
    query = select(t).where(t.c.id == cluster_id, t.c.project_id == project_id, t.c.deleted_at.is_(None))
    row = connection.execute(query).first()
    if row is None:
        raise NotFound(f"there is no cluster {cluster_id[:64]}")
    return row


def instance(connection: Connection, project_id: str, instance_id: str) -> Row[Any]:
    """An instance of this project. Raises NotFound."""
    t = tables.instances
    row = connection.execute(select(t).where(t.c.id == instance_id, t.c.project_id == project_id)).first()
    if row is None or row.status == "deleted":
        raise NotFound(f"there is no instance {instance_id[:64]}")
    return row


def operation(connection: Connection, project_id: str, operation_id: str) -> Row[Any]:
    """An operation of this project. Raises NotFound."""
    t = tables.operations
    row = connection.execute(select(t).where(t.c.id == operation_id, t.c.project_id == project_id)).first()
    if row is None:
        raise NotFound(f"there is no operation {operation_id[:64]}")
    return row


def start_operation(tx: Tx, kind: str, cluster_id: str, project_id: str) -> str:
    """A new operation. Raises Conflict where another one that changes the cluster is under way."""
    t = tables.operations
    if kind not in ("delete_cluster", "perform"):
        busy = select(func.count()).select_from(t).where(
            t.c.cluster_id == cluster_id, t.c.status.in_(RUNNING), t.c.kind != "perform"
        )  # fmt: skip
        if tx.connection.execute(busy).scalar_one():
            raise Conflict("another operation is under way on this cluster", what_to_do="wait for it, or cancel it")
    operation_id = new_id()
    tx.connection.execute(
        insert(t).values(
            id=operation_id, kind=kind, cluster_id=cluster_id, project_id=project_id, status="pending", output="",
            created_at=tx.database.clock.now(),
        )
    )  # fmt: skip
    return operation_id


def _request_delete(tx: Tx, row: Row[Any], operation_id: str) -> None:
    t = tables.clusters
    tx.connection.execute(update(t).where(t.c.id == row.id).values(status="deleting", operation_id=operation_id))
    i = tables.instances
    ids = tuple(one.id for one in tx.connection.execute(select(i.c.id).where(i.c.cluster_id == row.id)))
    tx.emit(
        ClusterDeleteRequested(
            cluster_id=row.id, operation_id=operation_id, project_id=row.project_id, instance_ids=ids
        )
    )


def _end_running(tx: Tx, cluster_id: str, status: str) -> None:
    t = tables.operations
    now = tx.database.clock.now()
    tx.connection.execute(
        update(t).where(t.c.cluster_id == cluster_id, t.c.status.in_(RUNNING)).values(status=status, finished_at=now)
    )
