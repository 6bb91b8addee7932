"""A broker in memory behind the relay's port: durable queues, redelivery, retries aside, and messages that go astray."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kombu import Exchange

from shared.bus import parking
from shared.bus.publisher import Outgoing, Sent
from shared.errors import Unavailable
from tests.simulation.virtual import Hub, Process

LATENCY = 0.005
LOOK_SECONDS = 0.5


@dataclass
class Message:
    """As a handler sees it."""

    body: str
    topic: str
    headers: dict[str, Any] = field(default_factory=dict)
    serial: int = 0


@dataclass(frozen=True)
class Binding:
    """A queue of a service, bound to a topic of an exchange."""

    service: str
    exchange: str
    topic: str

    @property
    def queue(self) -> str:
        return f"evt.{self.exchange.removesuffix('.events')}.{self.topic}--{self.service}"


class Consumer(Protocol):
    """A replica that takes messages."""

    process: Process

    def take(self, binding: Binding, message: Message) -> BaseException | None:
        """Handle a message in a thread of the replica; what went wrong, or None. The replica may die of it."""


class Post(Protocol):
    """What happens to messages on their way."""

    def note(self, words: str) -> None:
        """Write a line into the trace."""

    def at_publish(self, topic: str) -> str:
        """Called for each batch, before it: `away` or an empty word. May end the process."""

    def after_publish(self) -> str:
        """Called when the broker has it: `unconfirmed` or an empty word. May end the process."""

    def on_the_way(self, binding: Binding) -> str:
        """What becomes of one message: `double`, `late`, `lost` or an empty word."""


class Broker:
    """All exchanges and queues. It outlives every process of ours.

    `acknowledges_first` is how a careless consumer would use it: what fails, or dies with its handler, is gone.
    """

    acknowledges_first = False

    def __init__(self, hub: Hub, post: Post, chance: Any) -> None:
        self.process = Process("broker")
        self.parked: list[tuple[Binding, Message, str]] = []
        self.open = 0
        self._hub, self._post, self._chance = hub, post, chance
        self._bindings: dict[tuple[str, str], dict[Binding, None]] = {}
        self._consumers: dict[str, list[Consumer]] = {}
        self._serials = itertools.count(1)

    def bind(self, bindings: Sequence[Binding]) -> None:
        """Declare queues; they stay."""
        for one in bindings:
            self._bindings.setdefault((one.exchange, one.topic), {})[one] = None

    def join(self, service: str, consumer: Consumer) -> None:
        """A replica takes messages from now on."""
        self._consumers.setdefault(service, []).append(consumer)

    def living(self, service: str) -> list[Consumer]:
        """The replicas of a service that are alive."""
        return [one for one in self._consumers.get(service, ()) if one.process.alive]

    def send(self, messages: Sequence[Outgoing], exchanges: Sequence[Exchange] = ()) -> Sent:
        """As shared.bus.publisher has it. Raises Unavailable."""
        if self._post.at_publish(messages[0].routing_key) == "away":
            raise Unavailable("RabbitMQ does not take messages: it is away")
        returned = {position for position, one in enumerate(messages) if not self._route(one)}
        if self._post.after_publish() == "unconfirmed":
            raise Unavailable("RabbitMQ does not take messages: no confirmation in time")
        return Sent(frozenset(returned), frozenset())

    def _route(self, message: Outgoing) -> bool:
        takers = list(self._bindings.get((message.exchange, message.routing_key), ()))
        for binding in takers:
            fate = self._post.on_the_way(binding)
            for _ in range({"lost": 0, "double": self._chance.randint(2, 5)}.get(fate, 1)):
                far = fate == "late" or (fate == "double" and self._chance.random() < 0.5)
                pause = self._chance.uniform(0.0, 20.0 if far else LATENCY)
                self._carry(binding, message, pause)
        return bool(takers)

    def _carry(self, binding: Binding, outgoing: Outgoing, pause: float) -> None:
        message = Message(str(outgoing.body), binding.topic, serial=next(self._serials))
        self.open += 1
        self._hub.spawn(self.process, lambda: self._deliver(binding, message, pause))

    def _deliver(self, binding: Binding, message: Message, pause: float) -> None:
        self._hub.sleep(pause)
        while True:
            there = self.living(binding.service)
            if not there:
                self._hub.sleep(LOOK_SECONDS)
                continue
            consumer = self._chance.choice(there)
            error = consumer.take(binding, message)
            end = (
                "died" if not consumer.process.alive else "ok" if error is None else f"{type(error).__name__}: {error}"
            )
            self._post.note(f"{binding.queue} #{message.serial} at {consumer.process.name}: {end}")
            if (error is None and consumer.process.alive) or self.acknowledges_first:
                break
            if not consumer.process.alive:
                continue
            assert error is not None
            tries = parking.tries_of(message.headers)
            if not parking.tries_left(error, tries + 1):
                self.parked.append((binding, message, f"{type(error).__name__}: {error}"))
                break
            message.headers[parking.TRIES] = tries + 1
            self._hub.sleep(parking.PAUSES[min(tries, len(parking.PAUSES) - 1)] / 1000)
        self.open -= 1
