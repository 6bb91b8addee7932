"""Where messages go that could not be handled: some seconds aside to be tried again, or to an operator.

Trying again is the broker's work: a message sent to an exchange `retry.<milliseconds>` lies in the queue of the same
name until its time is over, and then goes back, by way of the default exchange, to the queue that its routing key names.
So a message that waits for its next try holds up neither a worker, nor other messages, nor the end of the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from kombu import Exchange, Queue

from shared.bus.publisher import Outgoing, publisher
from shared.errors import DtroveError, Retryable, Unavailable

# How often the broker hands out a message whose receiver dies or loses its connection.
DELIVERY_LIMIT = 20
UNBOUNDED = 1_000_000
# Milliseconds until the next try, the last one again and again.
PAUSES = (200, 1_000, 3_000, 10_000)
# How many tries a handler has: for a fault of ours, for something that is not there yet (about ten minutes).
TRIES_AFTER_BUG, TRIES_AFTER_RETRYABLE = 4, 60
REASON, SERVICE, QUEUE, TOPIC, TRIES, PARKED_ID = (
    f"x-dtrove-{name}" for name in ("reason", "service", "queue", "topic", "tries", "parked-id")
)
OURS = (REASON, SERVICE, QUEUE, TOPIC, TRIES, PARKED_ID)

# At-least-once: the broker lets go of a message only when its new queue has it.
_SAFELY = {"x-queue-type": "quorum", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}
PARKED = Exchange("parked", type="topic", durable=True)
PARKED_QUEUE = Queue("parked.api", PARKED, routing_key="#", durable=True,
                     queue_arguments={"x-queue-type": "quorum", "x-delivery-limit": UNBOUNDED})  # fmt: skip
RETRIES = [
    Queue(f"retry.{pause}", Exchange(f"retry.{pause}", type="fanout", durable=True), durable=True,
          queue_arguments={**_SAFELY, "x-message-ttl": pause, "x-dead-letter-exchange": ""})
    for pause in PAUSES
]  # fmt: skip
SIDINGS = [PARKED_QUEUE, *RETRIES]


def work_queue(name: str, exchange: Exchange, topic: str, service: str) -> Queue:
    """A queue whose worn-out messages are parked instead of being handed out for ever."""
    arguments = {**_SAFELY, "x-delivery-limit": DELIVERY_LIMIT, "x-dead-letter-exchange": PARKED.name,
                 "x-dead-letter-routing-key": f"{service}.{name}"}  # fmt: skip
    return Queue(name, exchange, routing_key=topic, durable=True, queue_arguments=arguments)


def tries_left(error: BaseException, tries: int) -> bool:
    """Whether a message that failed with `error` at its `tries`-th try is to be tried again.

    What is away comes back, however long that takes; a refusal stays one.
    """
    if isinstance(error, Unavailable):
        return True
    if isinstance(error, Retryable):
        return tries < TRIES_AFTER_RETRYABLE
    return not isinstance(error, DtroveError) and tries < TRIES_AFTER_BUG


def tries_of(headers: Mapping[str, Any]) -> int:
    """How often a message was tried before."""
    found = headers.get(TRIES)
    return found if isinstance(found, int) and found > 0 else 0


def try_later(message: Any, queue: str, topic: str) -> None:
    """Send a message aside until its next try. Raises Unavailable."""
    tries = tries_of(message.headers)
    kept = {name: message.headers[name] for name in OURS if name in message.headers}
    exchange = RETRIES[min(tries, len(RETRIES) - 1)].name
    _send(message, exchange, queue, {**kept, TRIES: tries + 1, TOPIC: kept.get(TOPIC) or topic})


def park(message: Any, service: str, queue: str, topic: str, reason: str) -> None:
    """Keep a message that can never be handled where an operator finds it. Raises Unavailable."""
    headers = {REASON: printable(reason), SERVICE: service, QUEUE: queue, TOPIC: topic, PARKED_ID: str(uuid4())}
    _send(message, PARKED.name, f"{service}.{queue}", headers)


def _send(message: Any, exchange: str, routing_key: str, headers: Mapping[str, Any]) -> None:
    properties = {"content_type": message.content_type or "application/octet-stream",
                  "content_encoding": message.content_encoding or "binary"}  # fmt: skip
    sent = publisher().send([Outgoing(body_of(message), routing_key, exchange, headers, properties)])
    if sent.returned or sent.refused:
        raise Unavailable(f"the exchange {exchange} has no queue, or it is full")


def body_of(message: Any) -> bytes:
    """The raw body, whatever the client library made of it."""
    body = message.body
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body or b"")


def printable(text: object, limit: int = 1000) -> str:
    """Text that every database and terminal takes: no NUL, no half characters, not endless."""
    clean = str(text).replace("\0", "\\0")
    return clean.encode("utf-8", "backslashreplace").decode()[:limit]


@dataclass(frozen=True)
class ParkedMessage:
    """A message that waits for an operator. `body` is its bytes read as Latin-1, which loses none of them."""

    id: str
    service: str
    queue: str
    topic: str
    reason: str
    body: str = field(repr=False)
    headers: dict[str, Any] = field(default_factory=dict)
