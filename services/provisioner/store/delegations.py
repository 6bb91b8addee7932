"""What projects have lent, in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from services.provisioner.domain.delegation import Delegation, Kind
from services.provisioner.domain.instance import Status
from services.provisioner.store.tables import delegations, instances
from shared.db import Database, Tx

_EVERY = select(delegations)


@dataclass(frozen=True)
class Delegations:
    """What `providers.clouds` asks for, each time in a look of its own."""

    database: Database

    def find(self, project_id: str) -> Delegation | None:
        with self.database.read() as connection:
            return find(connection, project_id)

    def every(self) -> list[Delegation]:
        with self.database.read() as connection:
            return [_delegation(row) for row in connection.execute(_EVERY)]


def find(connection: Connection, project_id: str) -> Delegation | None:
    """A project's, if it has lent anything."""
    row = connection.execute(_EVERY.where(delegations.c.project_id == project_id)).first()
    return None if row is None else _delegation(row)


def put(tx: Tx, given: Delegation) -> None:
    """Keep it in place of what the project has lent before."""
    drop(tx, given.project_id)
    tx.connection.execute(
        insert(delegations).values(
            project_id=given.project_id, kind=str(given.kind), credential_id=given.credential_id, secret=given.secret,
            cloud_project=given.cloud_project, created_at=tx.database.clock.now(),
        )
    )  # fmt: skip


def drop(tx: Tx, project_id: str) -> None:
    """Forget it."""
    tx.remove(delegations.c.project_id, project_id)


def names_in_use(connection: Connection, project_id: str) -> list[str]:
    """The instances that are in the account that a project has lent."""
    t = instances
    there = (t.c.account == project_id, t.c.status != Status.DELETED)
    return list(connection.execute(select(t.c.name).where(*there).order_by(t.c.name)).scalars())


def _delegation(row: Row[Any]) -> Delegation:
    return Delegation(row.project_id, Kind(row.kind), row.credential_id, row.secret, row.cloud_project)
