"""Connections to RabbitMQ that neither hang for ever nor give up at the first silence."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import eventlet
from kombu import Connection
from nameko import config

from shared.broker import read_uri

CONNECT_SECONDS, CLOSE_SECONDS = 5, 2
# A broker that freezes is given up after two of these.
HEARTBEAT_SECONDS = 15
SAY_EVERY = 10.0

log = logging.getLogger(__name__)


def uri() -> str:
    """The broker's address, as configured."""
    return str(config["AMQP_URI"])


def connection(heartbeat: int = HEARTBEAT_SECONDS) -> Connection:
    """The parameters of a connection; nothing is sent before its first use. Whoever asks for heartbeats sends them."""
    return _connection(uri(), CONNECT_SECONDS, heartbeat)


def _connection(address: str, seconds: float, heartbeat: int) -> Connection:
    broker = read_uri(address)
    return Connection(broker.uri, connect_timeout=seconds, heartbeat=heartbeat, ssl=broker.tls or False)


def drop(connection: Connection) -> None:
    """Close a connection; where the broker does not answer the good-bye, close its socket all the same."""
    try:
        with eventlet.Timeout(CLOSE_SECONDS, False):
            connection.release()
    except Exception as error:  # noqa: BLE001 - it is to be gone, whatever it says
        log.debug("a connection ended without good-bye: %s", error)
    connection.collect()


class Grumble:
    """Says that the broker is away: at once, then once in ten seconds, then that it is back."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._said: float | None = None

    def away(self, error: object) -> None:
        """The broker does not answer."""
        now = time.monotonic()
        if self._said is None or now - self._said >= SAY_EVERY:
            log.warning("waiting for RabbitMQ (%s): %s", self._what, error)
            self._said = now

    def back(self) -> None:
        """The broker answers."""
        if self._said is not None:
            log.info("RabbitMQ answers again (%s)", self._what)
        self._said = None


def wait_for_broker(address: str, give_up: Callable[[], bool] = lambda: False) -> None:
    """Wait until the broker takes connections, saying so, or until `give_up` says true."""
    grumble = Grumble("start")
    while not give_up():
        try:
            with _connection(address, 3, 0) as probe:
                probe.connect()
                return
        except Exception as error:  # noqa: BLE001 - refused, unknown, silent: all of it is waited out
            grumble.away(error)
            time.sleep(0.3)
