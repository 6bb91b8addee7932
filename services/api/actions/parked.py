"""Messages that no service could take in: kept here until an operator sends them again or forgets them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from services.api.store import tables
from shared.db import Database, Tx
from shared.errors import Conflict, NotFound
from shared.secrets import Secret

TOPIC_HEADER = "x-dtrove-topic"


def keep(
    database: Database, *, message_id: str, service: str, queue: str, topic: str, reason: str, body: str,
    headers: dict[str, Any],
) -> bool:  # fmt: skip
    """Store a parked message, once; `body` is its bytes read as Latin-1, and may hold a token: it is sealed."""
    with database.write() as tx:
        return tx.insert_new(
            tables.parked, id=message_id, service=service, queue=queue, topic=topic, reason=reason, body=Secret(body),
            headers=headers, created_at=database.clock.now(),
        )  # fmt: skip


def replay(tx: Tx, message_id: str) -> None:
    """Send a message back to its queue; should it fail again, it is parked anew. Raises NotFound, Conflict."""
    row = find(tx, message_id)
    if not row.queue:
        raise Conflict(f"message {message_id} does not tell its queue", what_to_do="drop it")
    tx.send(row.queue, row.body, {TOPIC_HEADER: row.topic})
    drop(tx, message_id)


def drop(tx: Tx, message_id: str) -> None:
    """Forget a message. Raises NotFound."""
    find(tx, message_id)
    tx.remove(tables.parked.c.id, message_id)


def find(tx: Tx, message_id: str) -> Row[Any]:
    """A parked message, kept from others until the end of the transaction. Raises NotFound."""
    t = tables.parked
    row = tx.connection.execute(select(t).where(t.c.id == message_id).with_for_update()).first()
    if row is None:
        raise NotFound(
            f"there is no parked message {message_id}", what_to_do="`dtrove parked list` shows those there are"
        )
    return row
