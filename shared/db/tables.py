"""The tables of the machinery that every service's database holds beside its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text
from sqlalchemy.schema import SchemaItem

from shared.db.types import Sealed, UtcDateTime

# SQLite counts rows by itself only for INTEGER primary keys; PostgreSQL wants the wider type.
_COUNTER = BigInteger().with_variant(Integer, "sqlite")


def inbox_table(metadata: MetaData) -> Table:
    """Events that were handled: their id and who handled them."""
    return _once(metadata, "inbox", lambda: (
        Column("event_id", String(64), primary_key=True),
        Column("consumer", String(128), primary_key=True),
        Column("seen_at", UtcDateTime, nullable=False),
        Index("inbox_seen", "seen_at"),
    ))  # fmt: skip


def outbox_table(metadata: MetaData) -> Table:
    """Events on their way to the broker, in the order in which they were written; those of operations are kept for a while.

    A number is never given twice, as SQLite would give that of a deleted row: a relay that was stopped for a while ticks
    off the numbers that it had read.
    """
    return _once(metadata, "outbox", lambda: (
        Column("id", _COUNTER, primary_key=True, autoincrement=True),
        Column("exchange", String(128), nullable=False),
        Column("routing_key", String(128), nullable=False),
        Column("body", Text, nullable=False),
        # Instead of the body, where it may hold a secret.
        Column("sealed_body", Sealed),
        Column("headers", JSON, nullable=False),
        Column("attempts", Integer, nullable=False, default=0),
        # Empty once it was sent, for those that are kept: see Tx.repeat.
        Column("due_at", UtcDateTime),
        # The operation it speaks of; empty for what is not kept.
        Column("operation_id", String(64), nullable=False, default=""),
        Column("error", Text, nullable=False, default=""),
        Column("created_at", UtcDateTime, nullable=False),
        Index("outbox_due", "due_at", "id"),
        Index("outbox_operation", "operation_id"),
    ), sqlite_autoincrement=True)  # fmt: skip


def tasks_table(metadata: MetaData) -> Table:
    """Work that is filed, in progress or done; see shared.workflow.Task for the meaning of each column."""
    return _once(metadata, "tasks", lambda: (
        Column("id", String(64), primary_key=True),
        Column("kind", String(64), nullable=False),
        Column("subject", String(64), nullable=False),
        Column("cluster_id", String(64), nullable=False),
        Column("operation_id", String(64), nullable=False),
        Column("host", String(255), nullable=False, default=""),
        Column("payload", JSON, nullable=False),
        Column("status", String(16), nullable=False),
        Column("mode", String(16), nullable=False),
        Column("step", String(64), nullable=False),
        Column("done", JSON, nullable=False),
        Column("attempt", Integer, nullable=False, default=0),
        Column("claims", Integer, nullable=False, default=0),
        Column("epoch", Integer, nullable=False, default=0),
        Column("step_started_at", UtcDateTime),
        Column("due_at", UtcDateTime, nullable=False),
        Column("lease_owner", String(128)),
        Column("lease_until", UtcDateTime),
        Column("cancel_requested", Boolean, nullable=False, default=False),
        Column("message", Text, nullable=False, default=""),
        Column("problem", JSON),
        Column("created_at", UtcDateTime, nullable=False),
        Column("finished_at", UtcDateTime),
        Index("tasks_due", "status", "due_at"),
        Index("tasks_subject", "subject", "status"),
        Index("tasks_cluster", "cluster_id", "status"),
        Index("tasks_operation", "operation_id"),
        Index("tasks_finished", "finished_at"),
    ))  # fmt: skip


def fences_table(metadata: MetaData) -> Table:
    """The highest epoch ever given for a subject; it never runs backwards, over all tasks."""
    return _once(metadata, "fences", lambda: (
        Column("subject", String(64), primary_key=True),
        Column("value", Integer, nullable=False),
    ))  # fmt: skip


def add_machinery(metadata: MetaData) -> None:
    """Put all of these into a service's metadata, so that its migrations see them."""
    for table in (inbox_table, outbox_table, tasks_table, fences_table):
        table(metadata)


def _once(metadata: MetaData, name: str, items: Callable[[], tuple[SchemaItem, ...]], **options: Any) -> Table:
    if name in metadata.tables:
        return metadata.tables[name]
    return Table(name, metadata, *items(), **options)
