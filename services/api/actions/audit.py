"""The audit: who did what to what, from where, in which request, and how it ended."""

from __future__ import annotations

from typing import cast

from sqlalchemy import String, insert

from services.api.actions.access import Caller
from services.api.store import tables
from shared.db import Tx

# What was answered where the work is part of the same transaction: it was done if this is there.
DONE = 200


def note(tx: Tx, who: Caller, action: str, subject: str = "", status: int = DONE) -> None:
    """Write one line, as part of the transaction."""
    texts = {"project_id": who.project_id, "token_id": who.token_id, "user": who.user, "address": who.address,
             "request_id": who.request_id, "action": action, "subject": subject}  # fmt: skip
    written = {name: _fitting(name, text) for name, text in texts.items()}
    tx.connection.execute(insert(tables.audit).values(**written, status=status, at=tx.database.clock.now()))


def _fitting(name: str, text: str) -> str:
    """As much of a text as its column takes, without what PostgreSQL takes in no text."""
    width = cast("String", tables.audit.c[name].type).length
    return text.replace("\0", "")[:width]
