"""Numbers transcript entries, so that every command of an operation has its place."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import bindparam, update

from services.datastore_agentless.store.tables import transcripts
from shared.contracts.values import TranscriptEntry
from shared.db import Tx

# Run for every command on every host, so put together once.
_COUNT = (
    update(transcripts)
    .where(transcripts.c.operation_id == bindparam("of_operation"))
    .values(next=transcripts.c.next + 1, updated_at=bindparam("updated_at"))
    .returning(transcripts.c.next)
)


def number(tx: Tx, operation_id: str, entry: TranscriptEntry) -> TranscriptEntry:
    """Give an entry the operation's next number, counted from 1."""
    now = tx.database.clock.now()
    # First the row, then its count: whoever numbers at the same moment waits for the row, and gets the next number.
    tx.insert_new(transcripts, operation_id=operation_id, next=1, updated_at=now)
    counted = tx.connection.execute(_COUNT, {"of_operation": operation_id, "updated_at": now}).scalar_one()
    return replace(entry, sequence=int(counted) - 1)
