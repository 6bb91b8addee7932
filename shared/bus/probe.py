"""Asks RabbitMQ itself whether it is there, without any service between."""

from __future__ import annotations

import eventlet
from amqp.exceptions import AMQPError
from kombu import Connection
from kombu.exceptions import KombuError

from shared.bus.connection import connected, drop
from shared.errors import Unavailable

SECONDS = 3.0


def broker_answers() -> None:
    """Log in and open a channel. Raises Unavailable."""
    silence = Unavailable(f"RabbitMQ did not answer within {SECONDS:.0f} s", what_to_do="see whether it runs")
    line: Connection | None = None
    try:
        with eventlet.Timeout(SECONDS, silence):
            line = connected(heartbeat=0, seconds=SECONDS)
            line.channel().close()
    except (OSError, AMQPError, KombuError) as error:
        raise Unavailable(f"RabbitMQ cannot be reached: {error}", what_to_do="see whether it runs") from error
    finally:
        if line is not None:
            drop(line)
