"""What a database is told that was set back to an older copy: epochs beyond all that were given since, and work that waits.

What hosts and clouds have seen since is not in the copy. A claim with an epoch of then would be refused there as outdated. And
work that was under way then may have been finished, undone or done over since: to go on with it is for a person to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import update

from shared.db import tasks
from shared.db.engine import OUTBOX, TASKS, Tx

# When that is due which waits for a person's word. No clock comes there.
HELD = datetime(9999, 1, 1, tzinfo=UTC)
WORDS = "held since this database was set back to an older copy: `dtrove control-plane resume` lets it go on"


@dataclass(frozen=True)
class Waiting:
    """How many open tasks wait, and how many messages that were not sent yet."""

    tasks: int = 0
    messages: int = 0

    def __add__(self, other: Waiting) -> Waiting:
        return Waiting(self.tasks + other.tasks, self.messages + other.messages)


def set_back(tx: Tx, epochs: int) -> Waiting:
    """Put every subject's epoch `epochs` further, also those that nobody has claimed yet, and hold what is open and unsent.

    Harmless to repeat, but for epochs that are higher still.
    """
    fences, open_tasks, outbox = tx.database.fences, tx.database.tasks, tx.database.outbox
    tx.insert_new(fences, subject=tasks.FLOOR, value=0)
    tx.connection.execute(update(fences).values(value=fences.c.value + epochs))
    held = update(open_tasks).where(open_tasks.c.status == tasks.OPEN)
    works = tx.connection.execute(held.values(due_at=HELD, lease_until=None, lease_owner=None, claims=0, message=WORDS))
    unsent = update(outbox).where(outbox.c.due_at.is_not(None))
    return Waiting(works.rowcount, tx.connection.execute(unsent.values(due_at=HELD, error=WORDS)).rowcount)


def resume(tx: Tx) -> Waiting:
    """Let all that is held go on now."""
    open_tasks, outbox, now = tx.database.tasks, tx.database.outbox, tx.database.clock.now()
    works = tx.connection.execute(
        update(open_tasks).where(open_tasks.c.due_at == HELD, open_tasks.c.status == tasks.OPEN)
        .values(due_at=now, message="")
    )  # fmt: skip
    unsent = tx.connection.execute(update(outbox).where(outbox.c.due_at == HELD).values(due_at=now, error=""))
    tx.wakes.update((TASKS, OUTBOX))
    return Waiting(works.rowcount, unsent.rowcount)
