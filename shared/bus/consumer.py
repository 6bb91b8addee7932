"""A consumer that comes back within seconds of its broker, whatever it met meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import eventlet
from amqp.exceptions import AMQPError
from kombu import Connection, Queue
from nameko.amqp.consume import Consumer
from nameko.extensions import SharedExtension

from shared.bus.connection import Grumble, connected, drop, uri

# How many messages of a queue may be in hand at a time.
PREFETCH = 10
PAUSE, LONGEST_PAUSE = 0.3, 2.0
# A broker that has just come back may let a declaration wait for ever. One that is only slow is given longer each time.
SILENCE_SECONDS, LONGEST_SILENCE = 2.0, 10.0
log = logging.getLogger(__name__)


class _Silent(ConnectionError):
    """The broker takes connections and then says nothing.

    An error of the connection: after any other kombu takes leave of each consumer that it had begun, and waits for the
    answers.
    """

    def __str__(self) -> str:
        return "it takes the connection, and then says nothing"


class RobustConsumer(Consumer):
    """nameko's consumer, whose loop ends only when it is told to."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._grumble = Grumble("consumer")
        self._patience: eventlet.Timeout | None = None
        self._pause, self._silence = PAUSE, SILENCE_SECONDS

    def expect(self) -> None:
        """Give the broker a while until its next answer in setting up."""
        self._stop_waiting()
        self._patience = eventlet.Timeout(self._silence, _Silent())

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def run(self, *_: Any, **__: Any) -> None:
        while not self.should_stop:
            try:
                for _message in self.consume(limit=None):
                    pass
            except Exception as error:  # noqa: BLE001 - whatever ended it, consuming must go on
                self._grumble.away(error)
                eventlet.sleep(self._pause)
                self._pause = min(LONGEST_PAUSE, self._pause + PAUSE)
                if isinstance(error, _Silent):
                    self._silence = min(LONGEST_SILENCE, self._silence * 1.5)

    @contextmanager
    def establish_connection(self) -> Iterator[Connection]:
        made = connected()
        try:
            self.expect()
            yield made
        finally:
            self._stop_waiting()
            drop(made)

    def on_consume_ready(self, *args: Any, **options: Any) -> None:
        self._stop_waiting()
        self._pause, self._silence = PAUSE, SILENCE_SECONDS
        self._grumble.back()
        super().on_consume_ready(*args, **options)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        log.warning("dropped a message whose body does not decode: %s", exc)
        self.ack_message(message)

    def ack_message(self, message: Any) -> None:
        """Tell the broker that a message is dealt with; with its connection gone the broker gives it out again."""
        self._answer(message, message.ack)

    def requeue_message(self, message: Any) -> None:
        """Give a message back; with its connection gone the broker has it back already."""
        self._answer(message, message.requeue)

    def _answer(self, message: Any, say: Callable[[], None]) -> None:
        # nameko lets a socket's own errors through: a broker that goes between our look and our word ends the container.
        if message.channel.connection is None:
            return
        try:
            say()
        except (OSError, AMQPError, AttributeError) as error:
            log.info("a message comes again, its connection is gone: %s", error)


class Receiver(Protocol):
    """What takes the messages of one queue."""

    queue: Queue

    def receive(self, message: Any) -> None:
        """Take one raw message; must not wait for anything."""


class _Listener(RobustConsumer):
    """One connection for all queues of a service, each with its own receiver and its own prefetch."""

    def __init__(self, receivers: list[Receiver], declared: dict[str, Queue]) -> None:
        super().__init__(uri())
        self._receivers, self._declared = receivers, declared

    def get_consumers(self, consumer_cls: Any, channel: Any) -> list[Any]:
        for queue in self._declared.values():
            self.expect()
            queue(channel).declare()
        return [self._consumer(consumer_cls, receiver) for receiver in self._receivers]

    def _consumer(self, consumer_cls: Any, receiver: Receiver) -> Any:
        self.expect()
        return consumer_cls(
            queues=[receiver.queue], on_message=receiver.receive, prefetch_count=PREFETCH,
            on_decode_error=lambda message, _error: receiver.receive(message),
        )  # fmt: skip


class Listener(SharedExtension):
    """Shares one `_Listener` among all handlers of a service; they register in their setup."""

    def __init__(self) -> None:
        self._receivers: list[Receiver] = []
        self._declared: dict[str, Queue] = {}
        self.consumer: _Listener

    def setup(self) -> None:
        # Handlers register before, after or meanwhile; all have when it starts.
        self.consumer = _Listener(self._receivers, self._declared)

    def register(self, receiver: Receiver, declared: list[Queue]) -> None:
        """Consume `receiver`'s queue, after the queues `declared` have been made. Raises ValueError for a queue twice."""
        if any(one.queue.name == receiver.queue.name for one in self._receivers):
            raise ValueError(f"two handlers of {self.container.service_name} consume {receiver.queue.name}")
        self._receivers.append(receiver)
        self._declared |= {queue.name: queue for queue in declared}

    def start(self) -> None:
        # The broker may come later than we do: the consumer goes on trying by itself.
        self.container.spawn_managed_thread(self.consumer.run, identifier="listener")

    def stop(self) -> None:
        """Take no more messages; those in hand go back to the broker with the connection."""
        self.consumer.stop()
