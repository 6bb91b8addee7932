"""A RabbitMQ for as long as a test, or a session, needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from client.rabbitmq import PrivateRabbit

R = TypeVar("R", bound=PrivateRabbit)


@contextmanager
def running(broker: R, seconds: float = 60) -> Iterator[R]:
    """Start it, wait until it answers, and stop it however the block ends."""
    broker.start()
    try:
        broker.wait_ready(seconds)
        yield broker
    finally:
        broker.stop()


def remembers(broker: PrivateRabbit, queue: str) -> bool:
    """Whether a node has written down that it has a part in a quorum queue, which it does half a second late.

    Killed before that, RabbitMQ 3.10 keeps a queue that never answers again, until it is deleted.
    """
    return any(queue.encode() in path.read_bytes() for path in broker.directory.glob("mnesia/*/quorum/*/names.dets"))
