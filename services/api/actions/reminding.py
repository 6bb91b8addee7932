"""Operations that nobody speaks of any more: the broker may have lost what was said, so everybody says it again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, exists, or_, select, update

from services.api.actions.operations import RUNNING
from services.api.store import tables
from shared.contracts.api import OperationReminded
from shared.contracts.operations import sequence_at
from shared.db import Database
from shared.db.outbox import pause_at
from shared.db.types import UtcDateTime

# An operation is silent after so many seconds; one that stays so is asked for less and less often.
SILENCE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=5)
BATCH = 100


# Asked every five seconds, and for each operation that is silent: they are put together once.
_o, _s = tables.operations, tables.operation_steps
_SINCE = bindparam("since", type_=UtcDateTime)
_SPOKEN = exists().where(_s.c.operation_id == _o.c.id, _s.c.sequence > bindparam("sequence"))
_SILENT: Select[Any] = (
    select(_o.c.id, _o.c.cluster_id, _o.c.created_at, _o.c.reminded_at)
    .where(_o.c.status.in_(RUNNING), _o.c.created_at < _SINCE, ~_SPOKEN)
    .where(or_(_o.c.reminded_at.is_(None), _o.c.reminded_at < _SINCE))
    .order_by(_o.c.created_at).limit(BATCH)
)  # fmt: skip
_REMINDED = update(_o).where(
    _o.c.id == bindparam("of_id"), _o.c.reminded_at.is_not_distinct_from(bindparam("last_at", type_=UtcDateTime))
)


def remind(database: Database) -> list[str]:
    """Say again what we have said of each silent operation, and ask the others to; return the operations' ids.

    Several replicas may do this at the same time: each operation is one's to ask for.
    """
    return [row.id for row in _silent(database) if _ask(database, row)]


def _silent(database: Database) -> list[Row[Any]]:
    now = database.clock.now()
    since = now - SILENCE
    values = {"since": since, "sequence": sequence_at(since)}
    with database.read() as connection:
        return [row for row in connection.execute(_SILENT, values) if _is_time(row, now)]


def _is_time(row: Row[Any], now: datetime) -> bool:
    pause = pause_at(now - row.created_at, SILENCE, LONGEST_PAUSE)
    return row.reminded_at is None or row.reminded_at <= now - pause


def _ask(database: Database, row: Row[Any]) -> bool:
    with database.write() as tx:
        values = {"of_id": row.id, "last_at": row.reminded_at, "reminded_at": database.clock.now()}
        if tx.connection.execute(_REMINDED, values).rowcount != 1:
            return False
        tx.repeat(row.id)
        tx.emit(OperationReminded(operation_id=row.id, cluster_id=row.cluster_id))
        return True
