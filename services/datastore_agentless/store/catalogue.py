"""The catalogue and the keys in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, bindparam, or_, select, update

from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.store import tables
from shared.db import Tx
from shared.errors import Conflict, NotFound

# Steps, wishes for clusters and those who ask for a key ask these: they are put together once.
_KEY = select(tables.keys).where(tables.keys.c.cluster_id == bindparam("of_cluster"))
_BY_ID = select(tables.datastores).where(tables.datastores.c.id == bindparam("of_id"))
_ALIKE = select(tables.datastores).where(
    or_(
        tables.datastores.c.id == bindparam("of_id"),
        and_(
            tables.datastores.c.manager == bindparam("of_manager"),
            tables.datastores.c.version == bindparam("of_version"),
        ),
    )
)


def datastore(connection: Connection, datastore_id: str) -> Datastore:
    """One entry, deleted ones included, for old clusters still use them. Raises NotFound."""
    row = connection.execute(_BY_ID, {"of_id": datastore_id}).first()
    if row is None:
        raise NotFound(f"there is no datastore {datastore_id}")
    return Datastore(**row._mapping)


def find(connection: Connection, datastore_id: str, manager: str, version: str) -> Datastore | None:
    """The entry with this id, else the one for this version of a manager, else None."""
    asked = {"of_id": datastore_id, "of_manager": manager, "of_version": version}
    rows = sorted(connection.execute(_ALIKE, asked), key=lambda row: bool(row.id != datastore_id))
    return Datastore(**rows[0]._mapping) if rows else None


def datastores(connection: Connection) -> list[Datastore]:
    """Every entry, by name and version."""
    t = tables.datastores
    return [Datastore(**row._mapping) for row in connection.execute(select(t).order_by(t.c.manager, t.c.version))]


def put(tx: Tx, entry: Datastore) -> None:
    """Store an entry, new or changed; another replica may make the same one. Raises Conflict where its version has another."""
    t = tables.datastores
    values: dict[str, Any] = vars(entry)
    change = update(t).where(t.c.id == entry.id).values(**values)
    if tx.connection.execute(change).rowcount or tx.insert_new(t, **values):
        return
    if tx.connection.execute(change).rowcount == 0:
        raise Conflict(f"datastore {entry.name} exists already", what_to_do="change it, or choose another version")


def key(connection: Connection, cluster_id: str) -> Key | None:
    """A cluster's key pair."""
    row = connection.execute(_KEY, {"of_cluster": cluster_id}).first()
    return None if row is None else Key(row.name, row.passphrase, row.private, row.public)


def add_key(tx: Tx, cluster_id: str, pair: Key) -> Key:
    """Store a cluster's key pair, sealed; returns the one that holds: a rival's, where that was earlier."""
    tx.insert_new(
        tables.keys, cluster_id=cluster_id, name=pair.name, passphrase=pair.passphrase, private=pair.private,
        public=pair.public,
    )  # fmt: skip
    stored = key(tx.connection, cluster_id)
    assert stored is not None
    return stored


def forget_key(tx: Tx, cluster_id: str) -> None:
    """Drop a cluster's key pair for good."""
    tx.remove(tables.keys.c.cluster_id, cluster_id)
