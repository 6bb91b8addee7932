"""How far the logs of clusters are kept, as datastore_agentless says it."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, MetaData, String, Table, Text, false

from shared.db.types import UtcDateTime


def add_archives(metadata: MetaData) -> Table:
    """The table of archives; `said_at` is when the newest word of one was said."""
    return Table(
        "archives",
        metadata,
        Column("cluster_id", String(64), primary_key=True),
        Column("project_id", String(64), nullable=False),
        Column("until", UtcDateTime),
        Column("broken_at", UtcDateTime),
        Column("trouble", Text, nullable=False),
        # The backups that it goes on from, and until when, as JSON of the event; null in those of before.
        Column("chains", JSON),
        Column("stale", Boolean, nullable=False, default=False, server_default=false()),
        Column("ended", Boolean, nullable=False),
        Column("said_at", UtcDateTime, nullable=False),
    )
