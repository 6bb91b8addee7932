"""The catalogue of backups in SQL, and the keys that they are encrypted to. Neither goes with a cluster."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, update

from services.datastore_agentless.domain.age_key import AgeKey
from services.datastore_agentless.domain.backup import Backup, State, restorable
from services.datastore_agentless.domain.chain import chain_of
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.store import tables
from shared.db import Tx
from shared.errors import NotFound
from shared.secrets import Secret

# Each step of a backup asks these: they are put together once.
_t = tables.backups
_BY_ID = select(_t).where(_t.c.id == bindparam("of_id"))
_LOCKED = _BY_ID.with_for_update()
_CHANGE = update(_t).where(_t.c.id == bindparam("of_id"))


def get(connection: Connection, backup_id: str) -> Backup:
    """One backup. Raises NotFound."""
    found = find(connection, backup_id)
    if found is None:
        raise NotFound(f"there is no backup {backup_id}", what_to_do="list the backups, and name one of them")
    return found


def find(connection: Connection, backup_id: str) -> Backup | None:
    """The same, or None."""
    row = connection.execute(_BY_ID, {"of_id": backup_id}).first()
    return None if row is None else read(row)


def lock(tx: Tx, backup_id: str) -> Backup | None:
    """The same, and nobody else changes it until this transaction ends."""
    row = tx.connection.execute(_LOCKED, {"of_id": backup_id}).first()
    return None if row is None else read(row)


def of_operation(connection: Connection, operation_id: str) -> Backup | None:
    """The backup that an operation makes, or None."""
    row = connection.execute(select(_t).where(_t.c.operation_id == operation_id)).first()
    return None if row is None else read(row)


def of_cluster(connection: Connection, cluster_id: str) -> list[Backup]:
    """A cluster's backups, whatever became of them."""
    t = tables.backups
    return [read(row) for row in connection.execute(select(t).where(t.c.cluster_id == cluster_id))]


def chain(connection: Connection, backup_id: str, project_id: str, datastore: Datastore) -> list[Backup]:
    """A backup that a cluster of this datastore may begin with, behind all that it builds upon. Raises Failure with the reason why not."""
    found = restorable(find(connection, backup_id), backup_id, project_id, datastore)
    return chain_of(found, of_cluster(connection, found.cluster_id) if found.base_id else ())


def built_upon(connection: Connection, backup_id: str) -> str | None:
    """The id of a backup that builds upon this one, or is to; None where there is none. Who wants that to stay so locks this one."""
    t = tables.backups
    there = (t.c.base_id == backup_id, t.c.state.in_((State.MAKING, State.COMPLETED)))
    return connection.execute(select(t.c.id).where(*there).limit(1)).scalar_one_or_none()


def add(tx: Tx, entry: Backup) -> bool:
    """Store a new one; false where it is there already."""
    return tx.insert_new(tables.backups, **_columns(entry))


def save(tx: Tx, entry: Backup) -> None:
    """Store a changed one."""
    tx.connection.execute(_CHANGE, {"of_id": entry.id, **_columns(entry)})


def age_key(tx: Tx, project_id: str) -> AgeKey:
    """The key of a project's backups, made at the first of them: of two that are made at once, one is kept."""
    found = _age_key(tx.connection, project_id)
    if found is not None:
        return found
    tx.insert_new(tables.backup_keys, **vars(AgeKey.create(project_id)))
    kept = _age_key(tx.connection, project_id)
    assert kept is not None
    return kept


def identity(connection: Connection, project_id: str) -> AgeKey:
    """The key that opens a project's backups. Raises NotFound where it has none."""
    found = _age_key(connection, project_id)
    if found is None:
        raise NotFound(f"project {project_id} has no key that opens its backups",
                       what_to_do="restore datastore_agentless's database as it was when the backup was made")  # fmt: skip
    return found


def _age_key(connection: Connection, project_id: str) -> AgeKey | None:
    t = tables.backup_keys
    row = connection.execute(select(t).where(t.c.project_id == project_id)).first()
    return None if row is None else AgeKey(**row._mapping)


def read(row: Row[Any]) -> Backup:
    """A backup from its row."""
    return Backup(**{**row._mapping, "token": row.token or Secret(""), "state": State(row.state)})


def _columns(entry: Backup) -> dict[str, Any]:
    """A beginning that has ended has no word of the store's: nothing is sealed for it."""
    return {**vars(entry), "token": entry.token or None}
