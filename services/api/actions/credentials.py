"""The audit of logins that were read."""

from __future__ import annotations

from sqlalchemy import insert

from services.api.actions.access import Caller
from services.api.store import tables
from shared.db import Tx


def note_reading(tx: Tx, who: Caller, cluster_id: str) -> None:
    """Write down that a token was used to read a cluster's login."""
    tx.connection.execute(
        insert(tables.audit).values(project_id=who.project_id, token_id=who.token_id, subject=cluster_id,
                                    action="credentials.read", at=tx.database.clock.now())
    )  # fmt: skip
