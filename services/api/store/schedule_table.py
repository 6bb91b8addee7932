"""When clusters are backed up, as users wish it, and what the scheduler says of it."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Index, Integer, MetaData, String, Table, text

from shared.db.types import UtcDateTime

_UNANSWERED = text("answered < version")


def add_schedules(metadata: MetaData) -> Table:
    """The table of schedules.

    `answered` is the last version of the wish that the scheduler has answered, `sequence` the number of its last word;
    `said_at` is when the wish was said last.
    """
    return Table(
        "schedules",
        metadata,
        Column("id", String(64), primary_key=True),
        Column("cluster_id", String(64), nullable=False),
        Column("project_id", String(64), nullable=False),
        Column("terms", JSON, nullable=False),
        Column("version", Integer, nullable=False),
        Column("answered", Integer, nullable=False),
        Column("sequence", Integer, nullable=False),
        Column("removed", Boolean, nullable=False),
        Column("next_at", UtcDateTime),
        Column("last", JSON(none_as_null=True)),
        Column("created_at", UtcDateTime, nullable=False),
        Column("wished_at", UtcDateTime, nullable=False),
        Column("said_at", UtcDateTime, nullable=False),
        Index("schedules_cluster", "cluster_id", "created_at", "id"),
        Index("schedules_unanswered", "said_at", sqlite_where=_UNANSWERED, postgresql_where=_UNANSWERED),
    )
