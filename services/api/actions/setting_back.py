"""The API's database is set back to an older copy: what was under way is not asked for again before a person has said so."""

from __future__ import annotations

from sqlalchemy import update

from services.api.actions.operations import RUNNING
from services.api.store import tables
from shared.db import Tx
from shared.db.setting_back import HELD

_o = tables.operations


def set_back(tx: Tx, _epochs: int) -> None:
    """Remind nobody of the operations that are open: what a service has not heard of yet, it would begin."""
    tx.connection.execute(update(_o).where(_o.c.status.in_(RUNNING)).values(reminded_at=HELD))


def resume(tx: Tx) -> int:
    """Have them said again where they stay silent; returns how many operations are open."""
    return tx.connection.execute(update(_o).where(_o.c.reminded_at == HELD).values(reminded_at=None)).rowcount
