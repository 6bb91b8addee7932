"""The relay: carries the outbox to the broker, confirmed and mandatory, and forgets nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import eventlet
from amqp import RecoverableConnectionError
from amqp.basic_message import Message
from eventlet.event import Event as Signal
from nameko.extensions import DependencyProvider

from shared.bus.connection import patient
from shared.bus.events import exchange_of
from shared.errors import Unavailable

BATCH = 100
TICK, BACKOFF_CAP = 1.0, 10.0

log = logging.getLogger(__name__)


class OutboxRow(Protocol):
    """One message to publish."""

    @property
    def id(self) -> int:
        """Its place in the outbox."""

    @property
    def exchange(self) -> str:
        """Where it goes."""

    @property
    def routing_key(self) -> str:
        """The event's topic."""

    @property
    def body(self) -> str:
        """JSON."""

    @property
    def attempts(self) -> int:
        """Failed tries so far."""


class OutboxPort(Protocol):
    """Where the messages wait; shared.db.outbox has the real one."""

    def fetch_batch(self, limit: int) -> list[Any]:
        """The next due rows, oldest first."""

    def mark_sent(self, ids: Iterable[int]) -> None:
        """The broker has them."""

    def mark_failed(self, row_id: int, error: str, next_due: datetime) -> None:
        """Try this one again later."""


class Relay(DependencyProvider):
    """Publishes rows as they come. `outbox` is made by a factory at start; `wake()` ends the wait for the next look."""

    def __init__(self, outbox: Callable[[], tuple[OutboxPort, Callable[[Callable[[], None]], None]]]) -> None:
        self._factory = outbox
        self._signal = Signal()
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
        if not self._signal.ready():
            self._signal.send(True)

    def _run(self) -> None:
        pause = TICK
        while not self._stopping:
            try:
                with patient() as connection, connection.channel() as channel:
                    known: set[str] = set()
                    pause = TICK
                    while not self._stopping:
                        if not self._send_batch(channel, known):
                            self._wait(TICK)
            except Unavailable as error:
                log.warning("the outbox cannot be read: %s", error)
                eventlet.sleep(pause)
            except Exception as error:  # noqa: BLE001 - whatever the broker does, the outbox keeps it
                log.warning("RabbitMQ does not take messages: %s; they wait in the outbox", error)
                eventlet.sleep(pause)
                pause = min(BACKOFF_CAP, pause * 1.5)

    def _wait(self, seconds: float) -> None:
        with eventlet.Timeout(seconds, False):
            self._signal.wait()
        self._signal = Signal() if self._signal.ready() else self._signal

    def _send_batch(self, channel: Any, known: set[str]) -> bool:
        self._signal = Signal() if self._signal.ready() else self._signal
        rows = self._outbox.fetch_batch(BATCH)
        sent = []
        returned: list[str] = []
        channel.events["basic_return"].clear()
        channel.events["basic_return"].add(lambda error, *_: returned.append(str(error)))
        try:
            for row in rows:
                if row.exchange not in known:
                    exchange_of(row.exchange.removesuffix(".events"))(channel).declare()
                    known.add(row.exchange)
                del returned[:]
                message = Message(row.body, content_type="application/json", content_encoding="utf-8", delivery_mode=2)
                channel.basic_publish_confirm(message, row.exchange, row.routing_key, mandatory=True)
                if returned:
                    self._postpone(row)
                else:
                    sent.append(row.id)
        finally:
            if sent:
                self._outbox.mark_sent(sent)
        if channel.connection is None:
            raise RecoverableConnectionError("the channel was closed")
        return bool(rows)

    def _postpone(self, row: OutboxRow) -> None:
        """Nobody is bound for this topic yet: keep it, look again later."""
        pause = min(30.0, 0.5 * 2.0 ** min(row.attempts, 10))
        if row.attempts in (3, 10):
            log.warning("nobody takes %s from %s yet", row.routing_key, row.exchange)
        self._outbox.mark_failed(row.id, "no queue is bound", datetime.now(UTC) + timedelta(seconds=pause))
