"""The relay's part, for a test that has no broker."""

from __future__ import annotations

from shared.db import Database
from shared.db.outbox import Outbox, OutboxRow


def send_all(database: Database) -> list[OutboxRow]:
    """Take all that waits in the outbox for sent; what it was."""
    with Outbox(database).batch(100) as batch:
        for row in batch.rows:
            batch.sent(row.id)
    return list(batch.rows)
