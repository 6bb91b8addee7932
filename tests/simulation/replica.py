"""One process of a service: its real entrypoints, tickers, relay and engine, composed as its own dependencies compose them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from nameko.extensions import ENTRYPOINT_EXTENSIONS_ATTR

from shared.bus import Relay, Ticker
from shared.bus.events import EventHandler
from shared.bus.relay import BATCH
from shared.engine import StepEngine
from shared.errors import DtroveError, Unavailable
from shared.workflow import Task
from tests.simulation.broker import Binding, Message
from tests.simulation.virtual import Process, Thread

if TYPE_CHECKING:
    from tests.simulation.storage import SimDatabase
    from tests.simulation.world import World

# Looks by the clock are the safety net of what is woken by a bell; few of them make a run fast.
SAFETY_SECONDS, AWAY_SECONDS, GATHERING_SECONDS, TICK_SECONDS = 30.0, 1.0, 0.02, 10.0
# Where this finds nothing, a look by the clock would not either.
WAITING_MESSAGE = "select 1 from outbox where due_at is not null limit 1"
OPEN_TASK = "select 1 from tasks where status = 'open' limit 1"


@dataclass(frozen=True)
class Kind:
    """A service: its class, its composition root, and which of its tickers a run needs.

    Each ticker with the question to its database without whose answer it has nothing to do; an empty one is always worth it.
    """

    name: str
    service: type[Any]
    dependencies: ModuleType
    tickers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def handlers(self) -> dict[Binding, Callable[[Any, Any], Any]]:
        """Its real entrypoints by the queue they listen on."""
        found: dict[Binding, Callable[[Any, Any], Any]] = {}
        for name in dir(self.service):
            method = getattr(self.service, name)
            for handler in getattr(method, ENTRYPOINT_EXTENSIONS_ATTR, ()):
                if isinstance(handler, EventHandler):
                    found[Binding(self.name, f"{handler.publisher}.events", handler.topic)] = _handling(handler, method)
        return dict(sorted(found.items(), key=lambda item: item[0].queue))


def _handling(handler: EventHandler, method: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    return lambda service, message: method(service, handler.read(message))


@dataclass(eq=False)
class Bell:
    """Wakes a thread that waits at it."""

    world: World
    waiting: Thread | None = None
    rung: bool = False

    def ring(self) -> None:
        """Once is enough."""
        self.rung = True
        if self.waiting is not None:
            self.world.hub.wake(self.waiting)

    def wait(self, seconds: float, is_worth_a_look: Callable[[], bool]) -> None:
        """Until it rings, or for so long and until a look might find something."""
        self.waiting = self.world.hub.running
        while not self.rung:
            woken = self.world.hub.park(seconds)
            if not woken and is_worth_a_look():
                break
        self.waiting, self.rung = None, False


@dataclass(eq=False)
class Replica:
    """A process of a service from its start to its end."""

    world: World
    kind: Kind
    slot: str
    database: SimDatabase
    process: Process = field(init=False)
    engine: StepEngine | None = None
    hands: dict[Thread, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.process = Process(self.slot)

    def start(self) -> None:
        """Compose, bind, and let every thread begin."""
        self.database.renew()
        self.service = self.kind.service()
        self.handlers = self.kind.handlers
        self._begin(self._compose)

    def take(self, binding: Binding, message: Message) -> BaseException | None:
        """Handle one message; called by the broker's own thread, which waits for the end, or for the death."""

        def handle() -> BaseException | None:
            error: BaseException | None = None
            try:
                self.handlers[binding](self.service, message)
            except Exception as caught:  # it goes where a real handler's errors go
                error = caught
                if not isinstance(caught, DtroveError):
                    self.world.hub.errors.append((f"{self.slot} {binding.queue}", caught))
            self.world.weather.at_line()
            return error

        return next(iter(self.world.hub.ask(self.process, handle)), None)

    def _begin(self, work: Callable[[], object]) -> Thread:
        return self.world.hub.spawn(self.process, work)

    def _compose(self) -> None:
        dependencies = self.kind.dependencies
        outbox, subscribe = dependencies.relay()
        self._relay(outbox, subscribe)
        if not self.world.together:
            self.world.broker.bind(list(self.handlers))
        if hasattr(dependencies, "steps"):
            self.engine, hands, subscribe_tasks = dependencies.steps()
            self._steps(self.engine, min(hands, 4), subscribe_tasks)
        for name in self.world.tickers(self):
            self._tick(getattr(self.kind.service, name), self.kind.tickers[name])
        self.world.broker.join(self.kind.name, self)

    def _relay(self, outbox: Any, subscribe: Callable[[Callable[[], None]], None]) -> None:
        relay = Relay(lambda: (outbox, subscribe))
        relay._outbox, relay._publisher = outbox, self.world.broker
        bell = Bell(self.world)
        subscribe(bell.ring)

        def run() -> None:
            while True:
                try:
                    found = relay._send_batch()
                except Unavailable:
                    self.world.hub.sleep(AWAY_SECONDS)
                    continue
                if found < BATCH:
                    bell.wait(SAFETY_SECONDS, lambda: bool(self.database.file.ask(WAITING_MESSAGE)))
                    self.world.hub.sleep(GATHERING_SECONDS)
                    # The look that comes now finds also what rang meanwhile.
                    bell.rung = False

        self._begin(run)

    def _steps(self, engine: StepEngine, number: int, subscribe: Callable[[Callable[[], None]], None]) -> None:
        bell = Bell(self.world)
        subscribe(bell.ring)

        def hand(task: Task) -> None:
            try:
                engine.work(task)
            finally:
                self.hands.pop(cast("Thread", self.world.hub.running), None)
                bell.ring()

        def hand_out() -> float:
            engine.hear_cancels()
            ready = engine.take_all()
            while len(self.hands) < number:
                task = next(ready, None)
                if task is None:
                    pause = engine.seconds_to_next()
                    return SAFETY_SECONDS if pause is None else min(SAFETY_SECONDS, pause)
                self.hands[self._begin(partial(hand, task))] = None
            return SAFETY_SECONDS

        def run() -> None:
            while True:
                try:
                    pause = hand_out()
                except Unavailable:
                    pause = AWAY_SECONDS
                bell.wait(pause, lambda: bool(self.database.file.ask(OPEN_TASK)))

        self._begin(run)
        engine._beating = True
        self._begin(engine._beat)

    def _tick(self, ticker: Ticker, question: str) -> None:
        def run() -> None:
            while True:
                worth = not question or self.database.file.ask(question)
                self.world.hub.sleep(max(TICK_SECONDS, ticker.tick() if worth else 0.0))

        self._begin(run)
