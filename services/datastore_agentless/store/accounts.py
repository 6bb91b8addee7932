"""Accounts in SQL: what an operation is to change, until it has, and what servers listed when they were asked last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from services.datastore_agentless.domain.account import Change
from services.datastore_agentless.store import tables
from shared.contracts.accounts import Accounts, Action
from shared.contracts.base import dump, load
from shared.db import Tx
from shared.secrets import Secret

# Every cluster that is made asks this: it is put together once.
_WISHED = select(tables.account_changes.c.changes).where(
    tables.account_changes.c.operation_id == bindparam("of_operation")
)


def add(tx: Tx, operation_id: str, cluster_id: str, changes: Sequence[Change]) -> bool:
    """Store what an operation is to change; false where that is there already."""
    told = Secret(json.dumps([_told(change) for change in changes]))
    return tx.insert_new(tables.account_changes, operation_id=operation_id, cluster_id=cluster_id, changes=told)


def wished(connection: Connection, operation_id: str) -> list[Change] | None:
    """What an operation is to change; None where nothing is kept of it."""
    row = connection.execute(_WISHED, {"of_operation": operation_id}).first()
    return None if row is None else [_change(one) for one in json.loads(row.changes.reveal())]


def done(tx: Tx, operation_id: str) -> None:
    """Forget it: it is done, or is not wanted any more."""
    t = tables.account_changes
    tx.remove(t.c.operation_id, operation_id)


def seen(connection: Connection, cluster_id: str) -> Accounts:
    """What the cluster's server listed last."""
    t = tables.accounts
    row = connection.execute(select(t.c.listed).where(t.c.cluster_id == cluster_id)).first()
    return Accounts() if row is None else load(Accounts, row.listed)


def keep(tx: Tx, cluster_id: str, listed: Accounts) -> None:
    """Store what it lists now."""
    t = tables.accounts
    if not tx.insert_new(t, cluster_id=cluster_id, listed=dump(listed)):
        tx.connection.execute(update(t).where(t.c.cluster_id == cluster_id).values(listed=dump(listed)))


def forget(tx: Tx, cluster_id: str) -> None:
    """A cluster is gone."""
    for table in (tables.accounts, tables.account_changes):
        tx.remove(table.c.cluster_id, cluster_id)


def _told(change: Change) -> dict[str, Any]:
    return {**asdict(change), "verifier": change.verifier.reveal()}


def _change(told: dict[str, Any]) -> Change:
    return Change(**{**told, "action": Action(told["action"]), "patterns": tuple(told["patterns"]),
                     "verifier": Secret(told["verifier"])})  # fmt: skip
