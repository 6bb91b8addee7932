"""`@on(Event)`: a handler on a quorum queue, tried a bounded number of times, then parked with its reason."""

from __future__ import annotations

import json
import logging
from abc import abstractmethod
from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any, TypeVar, cast

import eventlet
from kombu import Exchange, Queue
from marshmallow import ValidationError
from nameko.exceptions import ContainerBeingKilled
from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR, Entrypoint

from shared.bus import parking
from shared.bus.consumer import Listener
from shared.contracts.base import Event
from shared.errors import DtroveError, Invalid, Unavailable
from shared.log import about

AWAY_PAUSE = 2.0
Method = TypeVar("Method", bound=Callable[..., Any])
log = logging.getLogger(__name__)


@cache
def exchange_of(publisher: str) -> Exchange:
    """The exchange that a service's events go to, as nameko names it. There are few, and every batch of the relay needs one."""
    return Exchange(f"{publisher}.events", type="topic", durable=True, auto_delete=False)


class Handler(Entrypoint):
    """An entrypoint on a queue of its own. Subclasses say which, and what they make of a message."""

    listener = Listener()
    queue: Queue
    topic = ""

    def __init__(self, **options: Any) -> None:
        # nameko tells of these in one line instead of a traceback; we tell ourselves.
        super().__init__(expected_exceptions=(DtroveError,), **options)

    @abstractmethod
    def read(self, message: Any) -> Any:
        """What the method is given. Raises ValueError with the reason where the message makes no sense."""

    def gives_up(self, error: BaseException, tries: int) -> bool:
        """Whether a message whose `tries`-th try ended with `error` is to be parked."""
        return not parking.tries_left(error, tries)

    def setup(self) -> None:
        self.listener.register(self, parking.SIDINGS)

    def stop(self) -> None:
        self.listener.stop()

    def receive(self, message: Any) -> None:
        """Called by the listener, which must not wait: all goes on in a green thread of its own."""
        if self.listener.consumer.should_stop:
            self.listener.consumer.requeue_message(message)
            return
        self._aside(partial(self._start, message))

    def _start(self, message: Any) -> None:
        try:
            value = self.read(message)
        except ValueError as error:
            self._settle(message, partial(self._park, message, str(error)))
            return
        try:
            self.container.spawn_worker(self, (value,), {}, handle_result=partial(self._ended, message, value))
        except ContainerBeingKilled:
            self.listener.consumer.requeue_message(message)

    def _ended(self, message: Any, value: Any, _worker: Any, result: Any, exc_info: Any) -> tuple[Any, Any]:
        if exc_info is None:
            self.listener.consumer.ack_message(message)
            return result, exc_info
        error, tries = exc_info[1], parking.tries_of(message.headers) + 1
        with about(value):
            log.warning("%s could not be handled (try %d): %s: %s", self.topic, tries, type(error).__name__, error)
        if self.gives_up(error, tries):
            settle = partial(self._park, message, _words(error))
        else:
            settle = partial(parking.try_later, message, self.queue.name, self.topic)
        # A worker is worth more than to wait for the broker.
        self._aside(partial(self._settle, message, settle))
        return result, exc_info

    def _park(self, message: Any, reason: str) -> None:
        log.warning("parked a message of %s: %s", self.queue.name, reason)
        topic = message.headers.get(parking.TOPIC) or self.topic
        parking.park(message, self.container.service_name, self.queue.name, topic, reason)

    def _settle(self, message: Any, settle: Callable[[], None]) -> None:
        """Take a message out of the queue once it is safe elsewhere; without its channel it comes again by itself."""
        while message.channel.connection is not None:
            try:
                settle()
            except Unavailable as error:
                log.warning("a message stays where it is: %s", error)
                eventlet.sleep(AWAY_PAUSE)
                continue
            self.listener.consumer.ack_message(message)
            return

    def _aside(self, function: Callable[[], None]) -> None:
        self.container.spawn_managed_thread(function, identifier=f"{type(self).__name__} {self.method_name}")


def _words(error: BaseException) -> str:
    """An error as an operator reads it, with each field that was refused."""
    fields = [f"{one.field} {one.reason}" for one in error.errors] if isinstance(error, Invalid) else []
    return f"{type(error).__name__}: " + "; ".join([str(error), *fields])


class EventHandler(Handler):
    """Takes one event class from one publisher and hands its dataclass to the method."""

    def __init__(self, event: type[Event], publisher: str | None = None) -> None:
        super().__init__()
        self.event = event
        self.publisher = publisher or event.publisher
        self.topic = event.topic

    def setup(self) -> None:
        service = self.container.service_name
        name = f"evt.{self.publisher}.{self.topic}--{service}"
        self.queue = parking.work_queue(name, exchange_of(self.publisher), self.topic, service)
        super().setup()

    def read(self, message: Any) -> Event:
        try:
            payload = json.loads(parking.body_of(message))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the body does not decode: {error}") from error
        if not isinstance(payload, dict):
            raise ValueError(f"{self.topic} is not a JSON object")
        try:
            return self.event.from_payload(payload)
        except (ValidationError, TypeError, RecursionError) as error:
            raise ValueError(f"{self.topic} is not valid: {error}") from error


def on(event: type[Event], publisher: str | None = None) -> Callable[[Method], Method]:
    """Make a method handle `event`, as `publisher` announces it (the event's own publisher, if none is named).

    A known error but Retryable and Unavailable is a refusal: the message is parked at once with its words. Whatever
    the method logs carries the event's operation and cluster.
    """

    def register(method: Method) -> Method:
        # One method may hear many events: it is wrapped once.
        if hasattr(method, ENTRYPOINT_EXTENSIONS_ATTR):
            EventHandler.decorator(event, publisher)(method)
            return method

        @wraps(method)
        def bound(service: Any, value: Event) -> Any:
            with about(value):
                return method(service, value)

        EventHandler.decorator(event, publisher)(bound)
        return cast("Method", bound)

    return register
