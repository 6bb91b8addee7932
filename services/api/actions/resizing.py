"""The volumes of a cluster are to be larger, or its servers others; and that they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from services.api.actions import operations, quotas, scaling
from services.api.actions.choices import find_flavor
from services.api.actions.clusters import get, lock
from services.api.actions.feed import announce
from services.api.actions.operations import start_operation
from services.api.store import tables
from shared.contracts import datastore_agentless as databases
from shared.contracts.api import ClusterResizeRequested
from shared.contracts.base import dump
from shared.contracts.values import Flavor
from shared.db import Tx
from shared.errors import Conflict, FieldError, Invalid

RESIZE = "resize_cluster"


@dataclass(frozen=True)
class Size:
    """What is wanted: volumes of `volume_gb`, 0 for as they are, and servers of `flavor`, None for as they are."""

    volume_gb: int
    flavor: Flavor | None


def resize(tx: Tx, project_id: str, cluster_id: str, asked: dict[str, Any]) -> str:
    """Ask for it; returns the operation's id. The size that it has changes nothing. Raises NotFound, Conflict, Invalid.

    Volumes count for the project's quota as large as they are wanted from now on, also where it fails: some may have grown.
    """
    row = lock(tx, project_id, cluster_id)
    size = _checked(tx.connection, row, asked)
    more = size.volume_gb - max(row.volume_gb or 0, row.volume_gb_wanted or 0)
    if more > 0:
        quotas.make_room(tx, project_id, {"clusters": 0, "instances": 0, "size": row.size, "volume_gb": more})
    operation_id = start_operation(tx, RESIZE, cluster_id, project_id)
    c = tables.clusters
    wanted = {"volume_gb_wanted": size.volume_gb or row.volume_gb_wanted,
              "flavor_wanted": size.flavor.id if size.flavor else row.flavor_wanted}  # fmt: skip
    tx.connection.execute(update(c).where(c.c.id == cluster_id).values(**wanted))
    wish = ClusterResizeRequested(cluster_id=cluster_id, operation_id=operation_id, project_id=project_id,
                                  volume_gb=size.volume_gb, flavor=size.flavor, former=row.flavor["id"])  # fmt: skip
    announce(tx, wish, project_id)
    return operation_id


def plan_of(connection: Connection, project_id: str, cluster_id: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What datastore_agentless is asked for a plan. Raises NotFound, Conflict, Invalid."""
    row = get(connection, project_id, cluster_id)
    size = _checked(connection, row, asked)
    return {"cluster_id": row.id, "volume_gb": size.volume_gb, "flavor": dump(size.flavor) if size.flavor else None}


def resized(tx: Tx, event: databases.ClusterResized) -> None:
    """The volumes have grown, or the servers are others; where both were asked for the operation goes on after the first."""
    c = tables.clusters
    values: dict[str, Any] = {}
    if event.volume_gb:
        values |= {"volume_gb": event.volume_gb, "volume_gb_wanted": None}
    if event.flavor is not None:
        values |= {"flavor": dump(event.flavor), "flavor_wanted": None}
    if values:
        tx.connection.execute(update(c).where(c.c.id == event.cluster_id).values(**values))
    if event.operation_id:
        operations.end(tx, event.operation_id, "succeeded", result=event.result)


def _checked(connection: Connection, row: Row[Any], asked: dict[str, Any]) -> Size:
    """What is to become of the cluster. Raises Conflict, Invalid."""
    scaling.serves(row)
    volume_gb = asked["volume_gb"] or 0
    if not volume_gb and asked["flavor"] is None:
        raise _refused("flavor", "is required where there is no `volume_gb`: give one of the two, or both")
    if volume_gb and not row.volume_gb:
        raise Conflict(f"the nodes of cluster {row.name} have no volumes of their own",
                       what_to_do="make a new cluster with volumes, and move the data by the database's own tools")  # fmt: skip
    if volume_gb and volume_gb < row.volume_gb:
        raise _refused("volume_gb", f"must be at least {row.volume_gb}, which they have: volumes grow, and do not shrink; for "
                                    "smaller ones make a new cluster, and move the data")  # fmt: skip
    return Size(volume_gb, _flavor(connection, row, asked["flavor"]))


def _flavor(connection: Connection, row: Row[Any], wanted: str | None) -> Flavor | None:
    """The flavor that is wanted; None for the one that all nodes have. Raises Invalid."""
    if wanted is None:
        return None
    found = find_flavor(connection, wanted)
    if found.id == row.flavor["id"] and row.flavor_wanted is None:
        return None
    if not found.supports_resize:
        raise _refused("flavor", "cannot be changed: the servers of this provider keep their size; make a new cluster of the other "
                                 "flavor, and move the data")  # fmt: skip
    d = tables.datastores
    least = connection.execute(select(d.c.min_ram_mb).where(d.c.id == row.datastore["id"])).scalar() or 0
    if found.ram_mb < least:
        raise _refused("flavor", f"{row.datastore['name']} needs {least} MB, {found.name} has {found.ram_mb}")
    return Flavor(id=found.id, name=found.name, vcpus=found.vcpus, ram_mb=found.ram_mb, disk_gb=found.disk_gb)


def _refused(field: str, reason: str) -> Invalid:
    return Invalid("the request was not accepted", (FieldError(field, reason),))
