"""Asks RabbitMQ itself whether it is there, without any service between."""

from __future__ import annotations

import eventlet
from amqp.exceptions import AMQPError
from kombu.exceptions import KombuError

from shared.bus.connection import connection, drop
from shared.errors import Unavailable

SECONDS = 3.0


def broker_answers() -> None:
    """Log in and open a channel. Raises Unavailable."""
    line = connection(heartbeat=0)
    silence = Unavailable(f"RabbitMQ did not answer within {SECONDS:.0f} s", what_to_do="see whether it runs")
    try:
        with eventlet.Timeout(SECONDS, silence):
            line.connect()
            line.channel().close()
    except (OSError, AMQPError, KombuError) as error:
        raise Unavailable(f"RabbitMQ cannot be reached: {error}", what_to_do="see whether it runs") from error
    finally:
        drop(line)
