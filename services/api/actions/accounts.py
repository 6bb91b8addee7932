"""Databases, users and the superuser: what is wanted of them is asked for, and what the servers list is kept.

What is there was listed when the server was asked last, and is looked at before anything is asked for; the server itself has
the last word.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, select, update

from services.api.actions import operations, scaling
from services.api.actions.desk import Desk, Seal, Wish, dialect_of, unsealed
from services.api.actions.feed import remember
from services.api.store import tables
from shared.contracts.accounts import Accounts, Dialect
from shared.contracts.api import AccountsRequested
from shared.contracts.base import dump, load
from shared.contracts.datastore_agentless import AccountsSeen
from shared.db import Tx

LOOK = "look_at_accounts"


def desk(connection: Connection, row: Row[Any], seal: Seal) -> Desk:
    """For a cluster that serves. Raises Conflict."""
    scaling.serves(row)
    return Desk(row.datastore["name"], dialect(connection, row), seen(connection, row.id)[0], seal)


def dialect(connection: Connection, row: Row[Any]) -> Dialect:
    """The rules of a cluster's engine. Raises Conflict where nobody here keeps its accounts."""
    t = tables.datastores
    return dialect_of(connection.execute(select(t).where(t.c.id == row.datastore["id"])).one())


def request(tx: Tx, row: Row[Any], wish: Wish) -> str:
    """Ask for it, alone on its cluster; returns the operation's id. Raises Conflict."""
    operation_id = operations.start_operation(tx, wish.kind, row.id, row.project_id)
    event = AccountsRequested(
        cluster_id=row.id, operation_id=operation_id, project_id=row.project_id, changes=wish.changes
    )
    tx.emit(event)
    remember(tx, replace(event, changes=unsealed(wish.changes)), row.project_id)
    return operation_id


def plan_of(row: Row[Any], wish: Wish) -> dict[str, Any]:
    """What datastore_agentless is asked for a plan."""
    return {"cluster_id": row.id, "changes": [dump(one) for one in unsealed(wish.changes)]}


def seen(connection: Connection, cluster_id: str) -> tuple[Accounts, Row[Any] | None]:
    """What a cluster's server listed last, and the row that has it; None where it never did."""
    t = tables.accounts
    row = connection.execute(select(t).where(t.c.cluster_id == cluster_id)).first()
    return (Accounts(), None) if row is None else (load(Accounts, row.listed), row)


def learn(tx: Tx, event: AccountsSeen) -> None:
    """A server has listed what it has, and with that an operation has come to its end."""
    t, c = tables.accounts, tables.clusters
    alive = select(c.c.id).where(c.c.id == event.cluster_id, c.c.deleted_at.is_(None))
    if tx.connection.execute(alive).first() is not None:
        _, before = seen(tx.connection, event.cluster_id)
        since = (before.root_since if before else None) or event.seen_at
        values = {
            "listed": dump(event.accounts),
            "seen_at": event.seen_at,
            "root_since": since if event.accounts.root else None,
        }
        if not tx.insert_new(t, cluster_id=event.cluster_id, **values):
            older = (t.c.cluster_id == event.cluster_id, t.c.seen_at < event.seen_at)
            tx.connection.execute(update(t).where(*older).values(**values))
    if event.operation_id:
        operations.end(tx, event.operation_id, "succeeded")


def forget(tx: Tx, cluster_id: str) -> None:
    """A cluster is gone."""
    tx.remove(tables.accounts.c.cluster_id, cluster_id)
