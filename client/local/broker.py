"""A RabbitMQ of our own, as the supervisor sees it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol


class Broker(Protocol):
    """A RabbitMQ of our own; client/rabbitmq.py has the real one."""

    @property
    def uri(self) -> str:
        """Where it answers, with its password."""
        ...

    def start(self) -> None:
        """Start it; returns at once."""
        ...

    def wait_ready(self, timeout: float) -> None:
        """Wait until it takes connections. Raises Failure after `timeout` seconds."""
        ...

    def is_running(self) -> bool:
        """Whether its process lives."""
        ...

    def stop(self) -> None:
        """End it and whatever it started; harmless when nothing runs, also from another process."""
        ...


def private_rabbitmq(home: Path) -> Broker:
    """The real one, with its files in `home`; imported when it is wanted."""
    broker: Broker = importlib.import_module("client.rabbitmq").PrivateRabbit(home)
    return broker
