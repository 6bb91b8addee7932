"""Addresses of clusters in SQL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from services.provisioner.domain.address import ClusterAddress, State
from services.provisioner.store.tables import addresses
from shared.db import Tx

# Values in one statement; databases have a limit.
AT_ONCE = 500
# Every node that comes or goes asks these: they are put together once.
_OF_CLUSTER = select(addresses).where(addresses.c.cluster_id == bindparam("of_cluster"))
_LOCKED = _OF_CLUSTER.with_for_update()
_CHANGE = update(addresses).where(addresses.c.cluster_id == bindparam("of_cluster"))
_HELD = select(addresses).where(addresses.c.state != State.GONE)
_SOME = select(addresses).where(addresses.c.cluster_id.in_(bindparam("of_clusters", expanding=True)))


def find(connection: Connection, cluster_id: str) -> ClusterAddress | None:
    """A cluster's, also one that is gone; None where it never had one."""
    row = connection.execute(_OF_CLUSTER, {"of_cluster": cluster_id}).first()
    return None if row is None else _address(row)


def lock(tx: Tx, cluster_id: str) -> ClusterAddress | None:
    """The same, and nobody else changes it until this transaction ends."""
    row = tx.connection.execute(_LOCKED, {"of_cluster": cluster_id}).first()
    return None if row is None else _address(row)


def known(connection: Connection, cluster_ids: Iterable[str]) -> dict[str, ClusterAddress]:
    """Those that are not gone, and those of these clusters whatever became of them; by their clusters."""
    found = {row.cluster_id: _address(row) for row in connection.execute(_HELD)}
    others = [one for one in dict.fromkeys(cluster_ids) if one not in found]
    for start in range(0, len(others), AT_ONCE):
        some = connection.execute(_SOME, {"of_clusters": others[start : start + AT_ONCE]})
        found |= {row.cluster_id: _address(row) for row in some}
    return found


def add(tx: Tx, address: ClusterAddress) -> bool:
    """Store a new one; false where the cluster has one already."""
    return tx.insert_new(addresses, **_columns(address))


def save(tx: Tx, address: ClusterAddress) -> None:
    """Store a changed one, whose row is held."""
    tx.connection.execute(_CHANGE, {"of_cluster": address.cluster_id, **_columns(address)})


def _columns(address: ClusterAddress) -> dict[str, Any]:
    values = dict(vars(address))
    values.pop("epoch")
    return values | {"state": str(address.state)}


def _address(row: Any) -> ClusterAddress:
    return ClusterAddress(**{**row._mapping, "state": State(row.state)})
