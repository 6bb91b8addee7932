"""Hosts the step engine in a nameko container: a few green workers that run what is due, at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import eventlet
from eventlet.event import Event as Signal
from nameko.extensions import DependencyProvider

from shared.errors import Unavailable

SAFETY_TICK, ERROR_PAUSE = 1.0, 1.0
log = logging.getLogger(__name__)


class EnginePort(Protocol):
    """What runs steps; shared.engine has the real one."""

    def run_due(self, worker_id: str) -> float | None:
        """Run one due task; return the seconds to the next one, None when idle."""

    def start_heartbeat(self) -> None:
        """Keep leases alive from now on."""

    def stop_heartbeat(self) -> None:
        """Let leases run out."""


class Steps(DependencyProvider):
    """Runs the engine that `factory` makes, with a number of workers; `wake()` starts what has just been filed."""

    def __init__(self, factory: Callable[[], tuple[EnginePort, int, Callable[[Callable[[], None]], None]]]) -> None:
        self._factory = factory
        self._signals: set[Signal] = set()
        self._stopping = False

    def setup(self) -> None:
        self.engine, self._workers, subscribe = self._factory()
        subscribe(self.wake)

    def start(self) -> None:
        self.engine.start_heartbeat()
        for number in range(self._workers):
            self.container.spawn_managed_thread(lambda n=number: self._run(str(n)), identifier=f"step worker {number}")

    def stop(self) -> None:
        self._stopping = True
        self.engine.stop_heartbeat()
        self.wake()

    def get_dependency(self, worker_ctx: Any) -> EnginePort:
        return self.engine

    def wake(self) -> None:
        """Wake one idle worker; it wakes the next when it finds work."""
        if self._signals:
            self._signals.pop().send(True)

    def _run(self, worker: str) -> None:
        while not self._stopping:
            try:
                pause = self.engine.run_due(worker)
            except Unavailable:
                pause = ERROR_PAUSE
            except Exception:
                log.exception("the step engine stumbled")
                pause = ERROR_PAUSE
            if pause == 0.0:
                continue
            # Idle workers look rarely by themselves; the first one is woken at once when something is filed.
            tick = SAFETY_TICK if worker == "0" else SAFETY_TICK * 5
            self._wait(min(pause, tick) if pause is not None else tick)

    def _wait(self, seconds: float) -> None:
        signal = Signal()
        self._signals.add(signal)
        with eventlet.Timeout(seconds, False):
            signal.wait()
        self._signals.discard(signal)


class Ticker(DependencyProvider):
    """Calls a function every `seconds`, whatever it raises; for work that time itself files."""

    def __init__(self, function: Callable[[], Any], seconds: float) -> None:
        self._function, self._seconds, self._stopping = function, seconds, False

    def start(self) -> None:
        self.container.spawn_managed_thread(self._run, identifier="ticker")

    def stop(self) -> None:
        self._stopping = True

    def get_dependency(self, worker_ctx: Any) -> None:
        return None

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._function()
            except Unavailable as error:
                log.warning("a tick found nothing to work with: %s", error)
            except Exception:
                log.exception("a tick failed")
            eventlet.sleep(self._seconds)
