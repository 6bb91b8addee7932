"""Sessions of callers: a secret of a caller's own, which a browser may keep, for some hours."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, MetaData, String, Table

from shared.db.types import Sealed, UtcDateTime


def add_sessions(metadata: MetaData) -> Table:
    """The table of sessions. What a session stands for is one of DTrove's tokens, or a token of Keystone's.

    `once` is a session that is good for nothing but to be exchanged for another one.
    """
    return Table(
        "sessions",
        metadata,
        Column("id", String(64), primary_key=True),
        Column("hash", String(64), nullable=False, unique=True),
        Column("token_id", String(64), nullable=False),
        # A token of DTrove's is found by its id; one of Keystone's has to be shown to Keystone again and again.
        Column("keystone_token", Sealed),
        Column("once", Boolean, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("expires_at", UtcDateTime, nullable=False),
        Index("sessions_token", "token_id", "created_at"),
        Index("sessions_age", "expires_at"),
    )
