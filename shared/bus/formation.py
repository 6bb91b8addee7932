"""Before a service makes its first queues: wait for every node of its broker.

A quorum queue has its parts on the nodes that are one cluster when it is made, and none on those that join later. Made
while one node of three has come up, it would die with that node, for all that three are there a second later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable

import eventlet
from amqp.exceptions import AMQPError, NotFound
from kombu import Connection
from kombu.exceptions import KombuError

from shared.broker import Broker
from shared.bus.connection import Grumble, drop, opened

# Longer than three nodes need that start one after the other.
PATIENCE_SECONDS = 180.0
PAUSE_SECONDS, NODE_SECONDS = 0.5, 3.0
GROW = "once they are there, give them one with `rabbitmq-queues grow NODE all`"
log = logging.getLogger(__name__)


def wait_for_nodes(
    nodes: tuple[Broker, ...], services: Iterable[str], give_up: Callable[[], bool] = lambda: False
) -> None:
    """Wait until all nodes take connections, unless the queues of `services` are there already and have their parts.

    After `PATIENCE_SECONDS` it goes on without the missing ones and says what to do, rather than not to serve at all.
    """
    if len(nodes) == 1 or have_queues(nodes, services):
        return
    grumble, until = Grumble("the first start needs all its nodes"), time.monotonic() + PATIENCE_SECONDS
    while not give_up():
        silent = ", ".join(f"{node.host}:{node.port}" for node in nodes if not answers(node))
        if not silent:
            grumble.back()
            return
        if time.monotonic() > until:
            log.warning("the queues that are made now have no part on %s: %s", silent, GROW)
            return
        grumble.away(f"no answer from {silent}")
        time.sleep(PAUSE_SECONDS)


def answers(node: Broker) -> bool:
    """Whether a node takes connections."""
    try:
        drop(opened(node, NODE_SECONDS))
    except (OSError, AMQPError, KombuError):
        return False
    return True


def have_queues(nodes: Iterable[Broker], services: Iterable[str]) -> bool:
    """Whether the services have run here before, as the first node knows it that says anything at all."""
    for node in nodes:
        line: Connection | None = None
        try:
            with eventlet.Timeout(NODE_SECONDS, OSError("no answer in time")):
                line = opened(node, NODE_SECONDS)
                return all(_is_there(line, f"rpc-{name}") for name in services)
        except (OSError, AMQPError, KombuError) as error:
            log.debug("%s did not say what queues it has: %s", node.host, error)
        finally:
            if line is not None:
                drop(line)
    return False


def _is_there(line: Connection, queue: str) -> bool:
    try:
        line.channel().queue_declare(queue, passive=True)
    except NotFound:
        return False
    return True
