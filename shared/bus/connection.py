"""Connections to RabbitMQ that neither hang for ever nor give up at the first silence."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kombu import Connection
from nameko import config

log = logging.getLogger(__name__)
# Without these a frozen broker blocks a publisher without end.
TIMEOUTS = {"connect_timeout": 5, "read_timeout": 10, "write_timeout": 10}


def uri() -> str:
    """The broker's address, as configured."""
    return str(config["AMQP_URI"])


@contextmanager
def patient(address: str = "") -> Iterator[Connection]:
    """A fresh connection with confirmed publishing and timeouts. Raises OSError where the broker is away."""
    options = {**TIMEOUTS, "confirm_publish": True}
    with Connection(address or uri(), transport_options=options, connect_timeout=5) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0)
        yield connection


def wait_for_broker(address: str, seconds: float = float("inf")) -> None:
    """Wait until the broker takes connections, saying so once in ten seconds. Raises TimeoutError."""
    until, said = time.monotonic() + seconds, 0.0
    while True:
        try:
            with Connection(address, connect_timeout=3) as connection:
                connection.connect()
                return
        except Exception as error:
            now = time.monotonic()
            if now > until:
                raise TimeoutError(f"RabbitMQ does not answer: {error}") from error
            if now - said > 10:
                log.warning("waiting for RabbitMQ: %s", error)
                said = now
            time.sleep(0.3)
