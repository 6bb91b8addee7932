"""Connections to RabbitMQ that neither hang for ever nor give up at the first silence."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from functools import cache

import eventlet
from amqp.exceptions import AMQPError
from kombu import Connection
from kombu.exceptions import KombuError
from nameko import config

from shared.broker import Broker, read_uris

# All nodes share the time to connect: a search has to fit into the time of whoever waits for it.
CONNECT_SECONDS, CLOSE_SECONDS = 6.0, 2.0
# A broker that freezes is given up after two of these.
HEARTBEAT_SECONDS = 15
SAY_EVERY = 10.0

log = logging.getLogger(__name__)


class Nodes:
    """The nodes of a broker. Each line begins its search at the next one, so that lines spread over them."""

    def __init__(self, brokers: tuple[Broker, ...]) -> None:
        self._brokers = brokers
        # Else all processes of an installation would begin at the same one.
        self._first = secrets.randbelow(len(brokers))

    def round(self) -> tuple[Broker, ...]:
        """Each once, in the order to try them."""
        first = self._first
        self._first = (first + 1) % len(self._brokers)
        return self._brokers[first:] + self._brokers[:first]


@cache
def _nodes(address: str) -> Nodes:
    return Nodes(read_uris(address))


def uri() -> str:
    """The broker's address, as configured."""
    return str(config["AMQP_URI"])


def connected(heartbeat: int = HEARTBEAT_SECONDS, seconds: float = CONNECT_SECONDS) -> Connection:
    """A connection to the first node that takes one, in so many seconds. Whoever asks for heartbeats sends them.

    Raises what the last node said: OSError, AMQPError or KombuError.
    """
    return _connected(uri(), seconds, heartbeat)


def _connected(address: str, seconds: float, heartbeat: int) -> Connection:
    told: Exception = ConnectionError("RabbitMQ has no node")
    nodes = _nodes(address).round()
    for node in nodes:
        try:
            return opened(node, seconds / len(nodes), heartbeat)
        except (OSError, AMQPError, KombuError) as error:
            told = error
    raise told


def opened(node: Broker, seconds: float, heartbeat: int = 0) -> Connection:
    """A connection to this node, in so many seconds. Raises what it said: OSError, AMQPError or KombuError."""
    made = Connection(node.uri, connect_timeout=seconds, heartbeat=heartbeat, ssl=node.tls or False)
    try:
        # The library's own limit begins when the name has an address.
        with eventlet.Timeout(seconds, ConnectionError(f"{node.host} did not answer within {seconds:g} s")):
            return made.ensure_connection(max_retries=0)
    except BaseException:
        # Whatever ended it: the socket must not stay half open.
        made.collect()
        raise


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
            drop(_connected(address, CONNECT_SECONDS, 0))
            return
        except Exception as error:  # noqa: BLE001 - refused, unknown, silent: all of it is waited out
            grumble.away(error)
            time.sleep(0.3)
