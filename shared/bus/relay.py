"""The relay: carries the outbox to the broker, confirmed and mandatory, and forgets nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import eventlet
from nameko.extensions import DependencyProvider

from shared.bus.bell import Bell
from shared.bus.connection import Grumble
from shared.bus.events import exchange_of
from shared.bus.publisher import Outgoing, Publisher, Rejected, Sent
from shared.errors import Unavailable

BATCH = 200
TICK, BACKOFF_CAP = 1.0, 5.0

log = logging.getLogger(__name__)


class OutboxRow(Protocol):
    """One message to publish."""

    @property
    def id(self) -> int:
        """Its place in the outbox."""

    @property
    def exchange(self) -> str:
        """Where it goes; empty: to the queue that the routing key names."""

    @property
    def routing_key(self) -> str:
        """The event's topic."""

    @property
    def body(self) -> str | bytes:
        """JSON, or the bytes of a message that is sent again."""

    @property
    def headers(self) -> dict[str, Any]:
        """Goes with it."""

    @property
    def attempts(self) -> int:
        """Failed tries so far."""


class OutboxBatch(Protocol):
    """Rows in one relay's hands."""

    @property
    def rows(self) -> Sequence[OutboxRow]:
        """Oldest first."""

    def sent(self, row_id: int) -> None:
        """The broker has it: it goes."""

    def postponed(self, row_id: int, why: str) -> None:
        """Try this one again later."""


class OutboxPort(Protocol):
    """Where the messages wait; shared.db.outbox has the real one."""

    def batch(self, limit: int) -> AbstractContextManager[OutboxBatch]:
        """The next due rows, oldest first; what was said of them is stored at the end of the block."""


class Relay(DependencyProvider):
    """Publishes rows as they come. `outbox` is made by a factory at start; `wake()` ends the wait for the next look."""

    def __init__(self, outbox: Callable[[], tuple[OutboxPort, Callable[[Callable[[], None]], None]]]) -> None:
        self._factory = outbox
        self._bell = Bell()
        self._publisher = Publisher()
        self._grumble = Grumble("outbox")
        self._stopping = False

    def setup(self) -> None:
        self._outbox, subscribe = self._factory()
        subscribe(self.wake)

    def start(self) -> None:
        self.container.spawn_managed_thread(self._run, identifier="relay")

    def stop(self) -> None:
        self._stopping = True
        self.wake()

    def get_dependency(self, worker_ctx: Any) -> Relay:
        return self

    def wake(self) -> None:
        """Look into the outbox now."""
        self._bell.ring()

    def _run(self) -> None:
        pause = TICK
        while not self._stopping:
            try:
                found = self._send_batch()
            except Unavailable as error:
                self._grumble.away(error.message)
                eventlet.sleep(pause)
                pause = min(BACKOFF_CAP, pause * 1.5)
                continue
            except Exception:
                log.exception("the relay stumbled; the outbox keeps its messages")
                eventlet.sleep(BACKOFF_CAP)
                continue
            pause = TICK
            if not found:
                self._bell.wait(TICK)

    def _send_batch(self) -> int:
        """Publish what is due; return how many rows there were."""
        with self._outbox.batch(BATCH) as batch:
            if batch.rows:
                self._publish(batch)
            return len(batch.rows)

    def _publish(self, batch: OutboxBatch) -> None:
        try:
            self._note(batch, batch.rows, self._send(batch.rows))
        except Rejected:
            # One that the broker cannot take (too large, an exchange of another kind) must not hold up the others.
            for row in batch.rows:
                self._publish_alone(batch, row)
        self._grumble.back()

    def _publish_alone(self, batch: OutboxBatch, row: OutboxRow) -> None:
        try:
            self._note(batch, [row], self._send([row]))
        except Rejected as error:
            log.warning("%s to %s cannot be sent: %s", row.routing_key, row.exchange, error)
            batch.postponed(row.id, error.message)

    def _send(self, rows: Sequence[OutboxRow]) -> Sent:
        exchanges = {row.exchange: exchange_of(row.exchange.removesuffix(".events")) for row in rows if row.exchange}
        messages = [Outgoing(row.body, row.routing_key, row.exchange, row.headers) for row in rows]
        return self._publisher.send(messages, list(exchanges.values()))

    def _note(self, batch: OutboxBatch, rows: Sequence[OutboxRow], outcome: Sent) -> None:
        for position, row in enumerate(rows):
            if position in outcome.returned:
                if row.attempts in (3, 10):
                    log.warning("nobody takes %s from %s yet", row.routing_key, row.exchange or "the default exchange")
                batch.postponed(row.id, "no queue is bound")
            elif position in outcome.refused:
                batch.postponed(row.id, "the broker refused it")
            else:
                batch.sent(row.id)
