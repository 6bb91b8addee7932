"""`@on(Event)`: a handler on a quorum queue, tried a bounded number of times, then parked with its reason."""

from __future__ import annotations

import json
import logging
from typing import Any

import eventlet
from kombu import Exchange, Producer, Queue
from kombu.serialization import loads
from marshmallow import ValidationError
from nameko.amqp.consume import Consumer as ConsumerCore
from nameko.messaging import Consumer

from shared.bus.connection import patient
from shared.contracts.base import Event
from shared.errors import DtroveError, Retryable, Unavailable

DELIVERY_LIMIT = 5
PARKED = Exchange("parked", type="topic", durable=True)
FIRST_PAUSE, LAST_PAUSE = 0.2, 5.0

log = logging.getLogger(__name__)


def exchange_of(publisher: str) -> Exchange:
    """The exchange that a service's events go to, as nameko names it."""
    return Exchange(f"{publisher}.events", type="topic", durable=True, auto_delete=False)


def parked_queue(service: str) -> Queue:
    """Where a service's refused and worn-out messages wait for an operator."""
    return Queue(f"parked.{service}", PARKED, routing_key=f"{service}.#", durable=True,
                 queue_arguments={"x-queue-type": "quorum"})  # fmt: skip


class _RawConsumer(ConsumerCore):
    """Hands over bodies that do not decode as well, instead of losing them."""

    def get_consumers(self, consumer_cls: Any, channel: Any) -> list[Any]:
        consumers = super().get_consumers(consumer_cls, channel)
        for consumer in consumers:
            consumer.on_decode_error = self._undecodable
            parked_queue(self.service)(channel).declare()
        return list(consumers)

    def _undecodable(self, message: Any, error: Exception) -> None:
        self.park(message, f"the body does not decode: {error}")


class EventHandler(Consumer):
    """An entrypoint that takes one event class from one publisher and hands its dataclass to the method."""

    consumer_cls = _RawConsumer

    def __init__(self, event: type[Event], publisher: str | None = None, **options: Any) -> None:
        self.event = event
        self.publisher = publisher or event.publisher
        super().__init__(queue=None, requeue_on_error=True, **options)

    def setup(self) -> None:
        service = self.container.service_name
        name = f"evt.{self.publisher}.{self.event.topic}--{service}"
        arguments = {
            "x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT, "x-dead-letter-exchange": PARKED.name,
            "x-dead-letter-routing-key": f"{service}.{name}",
        }  # fmt: skip
        self.queue = Queue(name, exchange_of(self.publisher), routing_key=self.event.topic, durable=True,
                           queue_arguments=arguments)  # fmt: skip
        super().setup()
        self.consumer.service = service
        self.consumer.park = self._park

    def start(self) -> None:
        # The broker may come later than we do: the consumer goes on trying by itself.
        self.container.spawn_managed_thread(self.consumer.run)

    def handle_message(self, body: Any, message: Any) -> None:
        try:
            event = self.event.from_payload(
                body if isinstance(body, dict) else loads(body, "application/json", "utf-8")
            )
        except (ValidationError, TypeError, ValueError) as error:
            self._park(message, f"{self.event.topic} is not valid: {error}")
            return
        super().handle_message(event, message)

    def handle_message_processed(self, message: Any, result: Any = None, exc_info: Any = None) -> None:
        if exc_info is None:
            self.consumer.ack_message(message)
            return
        if isinstance(exc_info[1], DtroveError) and not isinstance(exc_info[1], Retryable | Unavailable):
            self._park(message, f"{type(exc_info[1]).__name__}: {exc_info[1]}")
            return
        tries = int(message.headers.get("x-delivery-count", 0))
        pause = min(LAST_PAUSE, FIRST_PAUSE * 2**tries)
        log.warning("%s could not be handled (try %d): %s", self.event.topic, tries + 1, exc_info[1])
        eventlet.sleep(pause)
        self.consumer.requeue_message(message)

    def _park(self, message: Any, reason: str) -> None:
        """Keep a message that can never be handled where an operator finds it, with the reason."""
        log.warning("parked: %s", reason)
        service = self.container.service_name
        headers = {**message.headers, "x-dtrove-reason": reason[:1000], "x-dtrove-queue": self.queue.name}
        with patient() as connection, connection.channel() as channel:
            parked_queue(service)(channel).declare()
            body = message.body if isinstance(message.body, str | bytes) else json.dumps(message.body)
            Producer(channel, exchange=PARKED).publish(
                body, routing_key=f"{service}.{self.queue.name}", headers=headers, content_type=message.content_type,
                content_encoding=message.content_encoding, delivery_mode=2, serializer=None,
            )  # fmt: skip
        self.consumer.ack_message(message)


on = EventHandler.decorator
