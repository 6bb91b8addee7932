"""Publishing that is confirmed and ends in time: a broker that is away or frozen costs seconds, never a thread."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import eventlet
from amqp.basic_message import Message
from amqp.exceptions import AMQPError, ChannelError
from eventlet.semaphore import Semaphore
from kombu import Connection, Exchange
from kombu.exceptions import KombuError

from shared.bus.connection import connected, drop
from shared.errors import Unavailable

SECONDS = 10.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outgoing:
    """A message to publish. `mandatory`: tell when no queue takes it, instead of losing it."""

    body: str | bytes
    routing_key: str
    exchange: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    mandatory: bool = True


@dataclass(frozen=True)
class Sent:
    """What became of a batch, by position: `returned` had no queue, `refused` the broker would not keep."""

    returned: frozenset[int]
    refused: frozenset[int]


class Rejected(Unavailable):
    """The broker is there, and closed the channel over what it was sent."""


class _Late(Exception):
    """The broker did not confirm in time."""


class Publisher:
    """One connection, opened at need, for a process's green threads to publish through one after the other."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._turn = Semaphore(1)
        self._connection: Connection | None = None
        self._channel: _Channel | None = None
        self._declared: set[str] = set()

    def send(self, messages: Sequence[Outgoing], exchanges: Sequence[Exchange] = ()) -> Sent:
        """Publish all, then wait until the broker has confirmed each. `exchanges` are declared once.

        Raises Unavailable when that does not come about in time (some of them may then have been delivered), Rejected
        when the broker takes offence at one of them.
        """
        with self._turn:
            # A connection that lay idle may have died unnoticed: then a fresh one has its chance.
            if self._channel is not None and self._channel.alive():
                try:
                    return self._in_time(messages, exchanges)
                except Rejected:
                    raise
                except Unavailable as error:
                    log.info("%s; trying again", error)
            return self._in_time(messages, exchanges)

    def close(self) -> None:
        """Let the connection go; the next `send` opens another."""
        gone, self._connection, self._channel = self._connection, None, None
        self._declared.clear()
        if gone is not None:
            drop(gone)

    def _in_time(self, messages: Sequence[Outgoing], exchanges: Sequence[Exchange]) -> Sent:
        try:
            with eventlet.Timeout(self._seconds, _Late()):
                return self._send(messages, exchanges)
        except (_Late, OSError, AMQPError, KombuError, AttributeError) as error:
            self.close()
            said = "no confirmation in time" if isinstance(error, _Late) else error
            kind = Rejected if isinstance(error, ChannelError) else Unavailable
            raise kind(f"RabbitMQ does not take messages: {said}") from error
        except BaseException:
            self.close()
            raise

    def _send(self, messages: Sequence[Outgoing], exchanges: Sequence[Exchange]) -> Sent:
        channel = self._opened()
        for exchange in exchanges:
            if exchange.name not in self._declared:
                channel.declare(exchange)
                self._declared.add(exchange.name)
        return channel.publish(messages)

    def _opened(self) -> _Channel:
        if self._channel is None or not self._channel.alive():
            self.close()
            # Nobody would send heartbeats between two messages.
            self._connection = connected(heartbeat=0)
            self._channel = _Channel(self._connection.channel())
        return self._channel


class _Channel:
    """A channel in confirm mode: its tags count the messages since it was opened."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self._published = 0
        self._open: dict[int, int] = {}
        self._returned: set[int] = set()
        self._refused: set[int] = set()
        channel.confirm_select()
        for name, callback in (("basic_ack", self._ack), ("basic_nack", self._nack), ("basic_return", self._return)):
            channel.events[name].add(callback)

    def alive(self) -> bool:
        """Whether it is still open, as far as is known."""
        return self._channel.connection is not None

    def declare(self, exchange: Exchange) -> None:
        """Make an exchange, or see that it is there."""
        exchange(self._channel).declare()

    def publish(self, messages: Sequence[Outgoing]) -> Sent:
        """Send all, wait once for all confirms."""
        self._open, self._returned, self._refused = {}, set(), set()
        for position, message in enumerate(messages):
            self._published += 1
            self._open[self._published] = position
            self._channel.basic_publish(
                _wire(message, position), message.exchange, message.routing_key, mandatory=message.mandatory
            )
        while self._open:
            self._channel.connection.drain_events()
        return Sent(frozenset(self._returned), frozenset(self._refused))

    def _ack(self, tag: int, multiple: bool) -> None:
        self._settle(tag, multiple)

    def _nack(self, tag: int, multiple: bool) -> None:
        self._refused.update(self._settle(tag, multiple))

    def _return(self, _error: Exception, _exchange: str, _routing_key: str, message: Any) -> None:
        self._returned.add(int(message.properties["message_id"]))

    def _settle(self, tag: int, multiple: bool) -> list[int]:
        tags = [one for one in self._open if one == tag or (multiple and one <= tag)]
        return [self._open.pop(one) for one in tags]


def _wire(message: Outgoing, position: int) -> Message:
    properties = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2,
                  **message.properties, "message_id": str(position)}  # fmt: skip
    return Message(message.body, application_headers=dict(message.headers), **properties)


_OURS = Publisher()


def publisher() -> Publisher:
    """The process's publisher for what does not go through an outbox: replies, retries, parked messages."""
    return _OURS
