"""What is known of datastores' parameters, and the first ones that a cluster or a group is made with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, select, update

from services.api.domain.parameter_sets import ParameterSet
from services.api.domain.parameters import checked, merged
from services.api.store import tables
from shared.contracts.base import dump, load
from shared.contracts.datastore_agentless import ParametersDefined
from shared.contracts.parameters import ParameterDefinition
from shared.db import Tx
from shared.errors import Conflict

APPLIED = "applied"


def definitions(connection: Connection, datastore_id: str, name: str) -> dict[str, ParameterDefinition]:
    """What is known of a datastore's parameters, by name. Raises Conflict while nobody has been asked."""
    known = so_far(connection, datastore_id)
    if known is None:
        raise Conflict(f"the parameters of {name} are not known yet: a running engine tells them",
                       what_to_do="make a cluster of it, add a node to one, or restart one: they are read there")  # fmt: skip
    return known


def so_far(connection: Connection, datastore_id: str) -> dict[str, ParameterDefinition] | None:
    """The same, or None while nobody has been asked."""
    t = tables.definitions
    known = connection.execute(select(t.c.known).where(t.c.datastore_id == datastore_id)).scalar_one_or_none()
    return None if known is None else {one["name"]: load(ParameterDefinition, one) for one in known}


def learn(tx: Tx, event: ParametersDefined) -> None:
    """An engine has said what parameters there are; of several such words the latest counts."""
    t = tables.definitions
    values = {"engine": event.engine, "known": [dump(one) for one in event.definitions], "seen_at": event.occurred_at}
    older = (t.c.datastore_id == event.datastore_id, t.c.seen_at < event.occurred_at)
    if tx.connection.execute(update(t).where(*older).values(**values)).rowcount == 0:
        tx.insert_new(t, datastore_id=event.datastore_id, **values)


def born_with(tx: Tx, cluster_id: str, operation_id: str, first: ParameterSet, author: str = "") -> None:
    """A cluster is made with parameters: its first version."""
    if first.own or first.group is not None:
        tx.insert_new(tables.parameter_versions, cluster_id=cluster_id, version=1, **first.columns(), state=APPLIED,
                      operation_id=operation_id, author=author, at=tx.database.clock.now())  # fmt: skip


def first_set(connection: Connection, datastore: Row[Any], given: Mapping[str, Any]) -> dict[str, str]:
    """What a cluster or a group to be made begins with. Raises Invalid, Conflict."""
    if not given:
        return {}
    return merged({}, checked(definitions(connection, datastore.id, datastore.name), given), whole=True)
