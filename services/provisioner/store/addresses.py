"""Addresses of clusters in SQL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select, update

from services.provisioner.domain.address import ClusterAddress, State
from services.provisioner.store.tables import addresses
from shared.db import Tx

# Values in one statement; databases have a limit.
AT_ONCE = 500


def find(connection: Connection, cluster_id: str) -> ClusterAddress | None:
    """A cluster's, also one that is gone; None where it never had one."""
    row = connection.execute(select(addresses).where(addresses.c.cluster_id == cluster_id)).first()
    return None if row is None else _address(row)


def lock(tx: Tx, cluster_id: str) -> ClusterAddress | None:
    """The same, and nobody else changes it until this transaction ends."""
    query = select(addresses).where(addresses.c.cluster_id == cluster_id).with_for_update()
    row = tx.connection.execute(query).first()
    return None if row is None else _address(row)


def known(connection: Connection, cluster_ids: Iterable[str]) -> dict[str, ClusterAddress]:
    """Those that are not gone, and those of these clusters whatever became of them; by their clusters."""
    t, wanted = addresses, list(dict.fromkeys(cluster_ids))
    found = {row.cluster_id: _address(row) for row in connection.execute(select(t).where(t.c.state != State.GONE))}
    others = [one for one in wanted if one not in found]
    for start in range(0, len(others), AT_ONCE):
        some = select(t).where(t.c.cluster_id.in_(others[start : start + AT_ONCE]))
        found |= {row.cluster_id: _address(row) for row in connection.execute(some)}
    return found


def add(tx: Tx, address: ClusterAddress) -> bool:
    """Store a new one; false where the cluster has one already."""
    return tx.insert_new(addresses, **_columns(address))


def save(tx: Tx, address: ClusterAddress) -> None:
    """Store a changed one, whose row is held."""
    mine = addresses.c.cluster_id == address.cluster_id
    tx.connection.execute(update(addresses).where(mine).values(**_columns(address)))


def _columns(address: ClusterAddress) -> dict[str, Any]:
    values = dict(vars(address))
    values.pop("epoch")
    return values | {"state": str(address.state)}


def _address(row: Any) -> ClusterAddress:
    return ClusterAddress(**{**row._mapping, "state": State(row.state)})
