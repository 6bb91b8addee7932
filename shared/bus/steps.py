"""Hosts the step engine in a nameko container: what is ready is given to free hands at once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import eventlet
from eventlet.greenthread import GreenThread
from nameko.extensions import DependencyProvider

from shared.bus.bell import Bell
from shared.errors import DtroveError, Unavailable
from shared.workflow import Task

# The clock is only the safety net, and an ear for what other processes do to a shared database.
SAFETY_TICK, ERROR_PAUSE = 1.0, 1.0
HAND_OVER_SECONDS = 3.0
FAILED_TICK_SECONDS = 5.0
log = logging.getLogger(__name__)


class EnginePort(Protocol):
    """What runs steps; shared.engine has the real one."""

    def take_all(self) -> Iterator[Task]:
        """Claim what is ready, one by one as it is asked for, the longest ready first."""

    def work(self, task: Task) -> None:
        """Run a task that `take` gave as far as it goes."""

    def seconds_to_next(self) -> float | None:
        """How long until time makes a task ready, as `take_all` saw it last; None: only a message can."""

    def hear_cancels(self) -> None:
        """Look which running tasks are to stop."""

    def held(self) -> list[Task]:
        """The tasks in its hands."""

    def hand_over(self, held: Iterable[Task]) -> None:
        """Give up the leases of tasks whose work was broken off."""

    def start_heartbeat(self) -> None:
        """Keep leases alive from now on."""

    def stop_heartbeat(self) -> None:
        """Let leases run out."""


class Steps(DependencyProvider):
    """Runs the engine that `factory` makes, with so many hands; `wake()` starts what has just been filed or freed."""

    def __init__(self, factory: Callable[[], tuple[EnginePort, int, Callable[[Callable[[], None]], None]]]) -> None:
        self._factory = factory
        self._bell = Bell()
        self._hands: set[GreenThread] = set()
        self._stopping = False

    def setup(self) -> None:
        self.engine, self._number, subscribe = self._factory()
        subscribe(self.wake)

    def start(self) -> None:
        self.engine.start_heartbeat()
        self.container.spawn_managed_thread(self._run, identifier="steps")

    def stop(self) -> None:
        """Break off what runs and leave it to the next process, which finds out how far each step came."""
        self._stopping = True
        self.engine.stop_heartbeat()
        held = self.engine.held()
        for hand in list(self._hands):
            hand.kill()
        try:
            with eventlet.Timeout(HAND_OVER_SECONDS, False):
                self.engine.hand_over(held)
        except DtroveError as error:
            log.warning("leases are left to run out: %s", error)

    def get_dependency(self, worker_ctx: Any) -> EnginePort:
        return self.engine

    def wake(self) -> None:
        """Look now for what is ready."""
        self._bell.ring()

    def _run(self) -> None:
        while not self._stopping:
            try:
                pause = self._hand_out()
            except Unavailable as error:
                log.warning("the step engine waits: %s", error)
                pause = ERROR_PAUSE
            except Exception:
                log.exception("the step engine stumbled")
                pause = ERROR_PAUSE
            self._bell.wait(pause)

    def _hand_out(self) -> float:
        """Give every ready task to a free hand; return the seconds until the next look."""
        self.engine.hear_cancels()
        ready = self.engine.take_all()
        while len(self._hands) < self._number and not self._stopping:
            task = next(ready, None)
            if task is None:
                pause = self.engine.seconds_to_next()
                return SAFETY_TICK if pause is None else min(SAFETY_TICK, pause)
            hand = eventlet.spawn(self.engine.work, task)
            self._hands.add(hand)
            hand.link(self._is_free)
        # All hands are busy: the first one that is free rings.
        return SAFETY_TICK

    def _is_free(self, hand: GreenThread) -> None:
        self._hands.discard(hand)
        self.wake()


class Ticker(DependencyProvider):
    """Calls a function every `seconds`, whatever it raises; for work that time itself files."""

    def __init__(self, function: Callable[[], Any], seconds: float) -> None:
        self._function, self._seconds = function, seconds
        self._bell, self._stopping = Bell(), False

    def start(self) -> None:
        self.container.spawn_managed_thread(self._run, identifier="ticker")

    def stop(self) -> None:
        self._stopping = True
        self._bell.ring()

    def get_dependency(self, worker_ctx: Any) -> None:
        return None

    def tick(self) -> float:
        """Call the function once; the seconds until the next call, which comes soon after one that failed."""
        try:
            self._function()
        except DtroveError as error:
            log.warning("a tick came to nothing: %s", error)
        except Exception:
            log.exception("a tick failed")
        else:
            return self._seconds
        return min(self._seconds, FAILED_TICK_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            self._bell.wait(self.tick())
