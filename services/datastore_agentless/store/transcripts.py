"""Numbers transcript entries, so that every command of an operation has its place."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import insert, select, update

from services.datastore_agentless.store.tables import transcripts
from shared.contracts.values import TranscriptEntry
from shared.db import Tx


def number(tx: Tx, operation_id: str, entry: TranscriptEntry) -> TranscriptEntry:
    """Give an entry the operation's next number, counted from 1."""
    now = tx.database.clock.now()
    row = tx.connection.execute(select(transcripts.c.next).where(transcripts.c.operation_id == operation_id)).first()
    if row is None:
        tx.connection.execute(insert(transcripts).values(operation_id=operation_id, next=2, updated_at=now))
        return replace(entry, sequence=1)
    tx.connection.execute(
        update(transcripts)
        .where(transcripts.c.operation_id == operation_id)
        .values(next=transcripts.c.next + 1, updated_at=now)
    )
    return replace(entry, sequence=int(row.next))
