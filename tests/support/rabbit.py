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
