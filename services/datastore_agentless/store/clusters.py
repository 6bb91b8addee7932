"""Clusters and their instances in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, bindparam, func, insert, select, update

from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import GOING, Instance, Status
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.store import tables
from shared.contracts.values import Flavor
from shared.db import Tx
from shared.errors import NotFound
from shared.secrets import Secret


def cluster(connection: Connection, cluster_id: str) -> Cluster:
    """One cluster. Raises NotFound."""
    found = find_cluster(connection, cluster_id)
    if found is None:
        raise NotFound(f"there is no cluster {cluster_id}")
    return found


def find_cluster(connection: Connection, cluster_id: str) -> Cluster | None:
    """One cluster, or None."""
    row = connection.execute(_CLUSTER, {"of_id": cluster_id}).first()
    return None if row is None else _cluster(row)


def lock(tx: Tx, cluster_id: str) -> Cluster | None:
    """The same, and nobody else changes it or its instances until this transaction ends.

    Whoever changes an instance locks its cluster first: always in this order, so that no two wait for each other.
    """
    row = tx.connection.execute(_CLUSTER_LOCKED, {"of_id": cluster_id}).first()
    return None if row is None else _cluster(row)


def add_cluster(tx: Tx, entry: Cluster) -> bool:
    """Store a new cluster; false where it is there already."""
    return tx.insert_new(tables.clusters, **vars(entry))


def save_cluster(tx: Tx, entry: Cluster) -> None:
    """Store a changed cluster."""
    tx.connection.execute(_CHANGE_CLUSTER, {"of_id": entry.id, **vars(entry)})


def instance(connection: Connection, instance_id: str) -> Instance:
    """One instance, with what its cluster knows (login, memory, volume). Raises NotFound."""
    found = find_instance(connection, instance_id)
    if found is None:
        raise NotFound(f"there is no instance {instance_id}")
    return found


def find_instance(connection: Connection, instance_id: str) -> Instance | None:
    """The same, or None."""
    row = connection.execute(_INSTANCE, {"of_id": instance_id}).first()
    return None if row is None else _instance(row)


def instances(connection: Connection, cluster_id: str) -> list[Instance]:
    """A cluster's instances, by name."""
    return [_instance(row) for row in connection.execute(_INSTANCES, {"of_cluster": cluster_id})]


def watched(connection: Connection, cluster_ids: Sequence[str]) -> list[tuple[Cluster, list[Instance]]]:
    """Those of these clusters that serve, each with its instances by name, in one query for each of the two."""
    ids = {"of_ids": list(cluster_ids)}
    nodes: dict[str, list[Instance]] = defaultdict(list)
    for row in connection.execute(_INSTANCES_OF_SOME, ids):
        nodes[row.cluster_id].append(_instance(row))
    return [(_cluster(row), nodes[row.id]) for row in connection.execute(_SERVING, ids)]


def instances_of_operation(connection: Connection, operation_id: str) -> list[Instance]:
    """The instances that come, go or return under an operation, by name."""
    mine = _joined().where(tables.instances.c.operation_id == operation_id).order_by(tables.instances.c.name)
    return [_instance(row) for row in connection.execute(mine)]


def clocks(connection: Connection) -> tuple[int, str, float]:
    """Of how many live hosts the clock is known; name and seconds of the one that is farthest off (empty for none)."""
    t = tables.instances
    alive = (t.c.status != Status.DELETED, t.c.clock_ahead.is_not(None))
    number = connection.execute(select(func.count()).select_from(t).where(*alive)).scalar_one()
    query = select(t.c.name, t.c.clock_ahead).where(*alive).order_by(func.abs(t.c.clock_ahead).desc()).limit(1)
    worst = connection.execute(query).first()
    return (number, "", 0.0) if worst is None else (number, worst.name, worst.clock_ahead)


def add_instance(tx: Tx, entry: Instance) -> None:
    """Store an instance to expect."""
    tx.connection.execute(_ADD_INSTANCE, _columns(entry))


def save_instance(tx: Tx, entry: Instance) -> None:
    """Store a changed instance."""
    tx.connection.execute(_CHANGE_INSTANCE, {"of_id": entry.id, **_columns(entry)})


def change_instance(tx: Tx, entry: Instance, **changes: Any) -> Instance | None:
    """Change some properties of an instance as it is by now; None, and nothing changed, once it leaves or is deleted.

    A step has held `entry` for a while: what others have written meanwhile stays.
    """
    lock(tx, entry.cluster_id)
    present = instance(tx.connection, entry.id)
    if present.status in GOING:
        return None
    status = changes.pop("status", present.status)
    changed = replace(present, **changes)
    changed.become(status)
    save_instance(tx, changed)
    return changed


def set_size(tx: Tx, instance_id: str, flavor: Flavor) -> None:
    """Keep what a server has become."""
    t, values = tables.instances, {"flavor": flavor.id, "ram_mb": flavor.ram_mb, "vcpus": flavor.vcpus}
    tx.connection.execute(update(t).where(t.c.id == instance_id).values(**values))


def doubt_flavor(tx: Tx, instance_id: str) -> None:
    """Of what flavor a server is nobody knows for sure any more."""
    t = tables.instances
    tx.connection.execute(update(t).where(t.c.id == instance_id).values(flavor=""))


def note_flavor(tx: Tx, cluster_id: str, flavor_id: str) -> None:
    """Keep of what flavor the servers of a cluster are of which nobody has said so yet."""
    t = tables.instances
    unknown = (t.c.cluster_id == cluster_id, t.c.flavor.is_(None))
    tx.connection.execute(update(t).where(*unknown).values(flavor=flavor_id))


# What a server is has a door of its own: a node that is saved does not take over what its cluster says.
_SIZE = ("flavor", "ram_mb", "vcpus")
_OWN = tuple(column.name for column in tables.instances.columns if column.name not in _SIZE)


def _columns(entry: Instance) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in _OWN}


def _joined() -> Any:
    i, c, k = tables.instances, tables.clusters, tables.keys
    shared = (c.c.volume_gb, c.c.admin_user, c.c.admin_password, c.c.replication_password, c.c.parameters,
              c.c.addr.label("cluster_addr"))  # fmt: skip
    size = (func.coalesce(i.c.ram_mb, c.c.ram_mb).label("ram_mb"), func.coalesce(i.c.vcpus, c.c.vcpus).label("vcpus"),
            func.coalesce(i.c.flavor, "").label("flavor"))  # fmt: skip
    keys = (k.c.name.label("key_name"), k.c.passphrase, k.c.private, k.c.public)
    own = (i.c[name] for name in _OWN)
    return (
        select(*own, *shared, *size, *keys)
        .join(c, c.c.id == i.c.cluster_id)
        .outerjoin(k, k.c.cluster_id == i.c.cluster_id)
    )


# Each step asks these: they are put together once.
_CLUSTER = select(tables.clusters).where(tables.clusters.c.id == bindparam("of_id"))
_CLUSTER_LOCKED = _CLUSTER.with_for_update()
_CHANGE_CLUSTER = update(tables.clusters).where(tables.clusters.c.id == bindparam("of_id"))
_ADD_INSTANCE = insert(tables.instances)
_CHANGE_INSTANCE = update(tables.instances).where(tables.instances.c.id == bindparam("of_id"))
_INSTANCE = _joined().where(tables.instances.c.id == bindparam("of_id"))
_SOME: BindParameter[Any] = bindparam("of_ids", expanding=True)
_SERVING = select(tables.clusters).where(
    tables.clusters.c.id.in_(_SOME), tables.clusters.c.status == ClusterStatus.ACTIVE
)
_INSTANCES_OF_SOME = _joined().where(tables.instances.c.cluster_id.in_(_SOME)).order_by(tables.instances.c.name)
_INSTANCES = _joined().where(tables.instances.c.cluster_id == bindparam("of_cluster")).order_by(tables.instances.c.name)


def _cluster(row: Row[Any]) -> Cluster:
    return Cluster(**{**_known(row), "proof": row.proof or {}, "status": ClusterStatus(row.status)})


def _known(row: Row[Any]) -> dict[str, Any]:
    values = dict(row._mapping)
    values["replication_password"] = row.replication_password or Secret("")
    values["parameters"] = row.parameters or {}
    return values


def _instance(row: Row[Any]) -> Instance:
    values = _known(row)
    pair = Key(*(values.pop(name) for name in ("key_name", "passphrase", "private", "public")))
    return Instance(**{**values, "status": Status(row.status), "key": pair if pair.public else None})
