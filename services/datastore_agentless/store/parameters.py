"""Definitions of parameters, and what clusters were to run with, in SQL."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from services.datastore_agentless.domain.parameters import State, Version
from services.datastore_agentless.store import tables
from shared.contracts.base import dump, load
from shared.contracts.parameters import ParameterDefinition
from shared.db import Tx
from shared.errors import NotFound

# Every node that is made or changed asks these: they are put together once.
_d, _v = tables.definitions, tables.parameter_versions
_DEFINITIONS = select(_d.c.known).where(_d.c.datastore_id == bindparam("of_datastore"))
_ARE_KNOWN = select(_d.c.datastore_id).where(_d.c.datastore_id == bindparam("of_datastore"))
_EVER_WANTED = select(_v.c.wanted).where(_v.c.cluster_id == bindparam("of_cluster"))


def definitions(connection: Connection, datastore_id: str) -> dict[str, ParameterDefinition]:
    """What is known of a datastore's parameters, by name; empty where no engine of it was asked yet."""
    known = connection.execute(_DEFINITIONS, {"of_datastore": datastore_id}).scalar_one_or_none()
    return {one["name"]: load(ParameterDefinition, one) for one in known or ()}


def are_known(connection: Connection, datastore_id: str) -> bool:
    """Whether an engine of it was asked."""
    return connection.execute(_ARE_KNOWN, {"of_datastore": datastore_id}).first() is not None


def learn(tx: Tx, datastore_id: str, engine: str, known: Iterable[ParameterDefinition]) -> None:
    """Store what an engine has said."""
    t = tables.definitions
    values: dict[str, Any] = {
        "engine": engine,
        "known": [dump(one) for one in known],
        "seen_at": tx.database.clock.now(),
    }
    if tx.connection.execute(update(t).where(t.c.datastore_id == datastore_id).values(**values)).rowcount == 0:
        tx.insert_new(t, datastore_id=datastore_id, **values)


def add(tx: Tx, entry: Version) -> bool:
    """Store a new version; false where it is there already."""
    return tx.insert_new(tables.parameter_versions, **vars(entry))


def version(connection: Connection, operation_id: str) -> Version:
    """The version that an operation is to bring about. Raises NotFound."""
    found = find(connection, operation_id)
    if found is None:
        raise NotFound(f"operation {operation_id} changes no parameters")
    return found


def find(connection: Connection, operation_id: str) -> Version | None:
    """The same, or None."""
    t = tables.parameter_versions
    row = connection.execute(select(t).where(t.c.operation_id == operation_id)).first()
    return None if row is None else Version(**{**row._mapping, "state": State(row.state)})


def hold(tx: Tx, entry: Version, instance_id: str) -> None:
    """Keep which node's engine is about to be restarted, empty for none."""
    t = tables.parameter_versions
    tx.connection.execute(update(t).where(t.c.operation_id == entry.operation_id).values(in_hand=instance_id))


def in_hand(connection: Connection, cluster_id: str) -> str:
    """The node of a cluster whose engine is being restarted for its parameters; empty for none."""
    t = tables.parameter_versions
    mine = (t.c.cluster_id == cluster_id, t.c.state == State.WANTED, t.c.in_hand != "")
    return str(connection.execute(select(t.c.in_hand).where(*mine)).scalar() or "")


def become(tx: Tx, entry: Version, state: State) -> None:
    """Keep what became of a version."""
    t = tables.parameter_versions
    tx.connection.execute(update(t).where(t.c.operation_id == entry.operation_id).values(state=state))
    entry.state = state


def ever_set(connection: Connection, cluster_id: str) -> set[str]:
    """The names of all parameters that a cluster was ever to have: one that is not set any more may wait for a restart."""
    rows = connection.execute(_EVER_WANTED, {"of_cluster": cluster_id}).scalars()
    return {name for wanted in rows for name in wanted}


def forget(tx: Tx, cluster_id: str) -> None:
    """A cluster is gone, and what it was to run with."""
    t = tables.parameter_versions
    tx.remove(t.c.cluster_id, cluster_id)
