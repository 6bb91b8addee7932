"""The events that a project's users see: what was wished for, and what became of it.

How far an operation is (`operation.progressed`) is not among them: that is the operation's own stream.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, insert, select

from services.api.store import tables
from shared.contracts.base import Event
from shared.db import Tx, UtcDateTime

# Nearly every event is put into the feed: these are put together once.
_PROJECT_LOCKED = select(tables.projects.c.id).where(tables.projects.c.id == bindparam("of_id")).with_for_update()
_ADD = insert(tables.events)


def announce(tx: Tx, event: Event, project_id: str) -> None:
    """Put an event of ours on the bus and into the feed."""
    tx.emit(event)
    remember(tx, event, project_id)


def remember(tx: Tx, event: Event, project_id: str) -> None:
    """Put an event into the feed.

    The project's row is locked first: numbers are given in the order of the commits, so that no follower who has seen a
    higher one misses a lower one that came later.
    """
    tx.connection.execute(_PROJECT_LOCKED, {"of_id": project_id})
    said = {"topic": event.topic, "payload": event.to_payload(), "occurred_at": event.occurred_at}
    tx.connection.execute(_ADD, {"project_id": project_id, **said})


def said_since(tx: Tx, project_id: str, topics: tuple[str, ...], about: tuple[str, str], moment: datetime) -> bool:
    """Whether an event of these topics, whose field `about[0]` is `about[1]`, was heard that happened after `moment`.

    Queues overtake each other: what is heard last is not always the last that was said.
    """
    field, value = about
    asked = {"of_project": project_id, "of_topics": list(topics), "moment": moment, "value": value}
    return tx.connection.execute(_said_since(field), asked).first() is not None


@cache
def _said_since(field: str) -> Select[Any]:
    e = tables.events
    later = e.c.occurred_at > bindparam("moment", type_=UtcDateTime)
    ours = (e.c.project_id == bindparam("of_project"), e.c.topic.in_(bindparam("of_topics", expanding=True)))
    return select(e.c.id).where(*ours, later, e.c.payload[field].as_string() == bindparam("value")).limit(1)
