"""Virtual time and processes: green threads that run one at a time, in an order that the seed decides.

A process can be killed as by kill -9 (its threads end where they are, and nothing of theirs reaches the outside any more)
or stopped as by SIGSTOP. Time moves only when nothing is left to do at the present moment.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
FOR_EVER = 1e9
T = TypeVar("T")


class Killed(BaseException):
    """The process of this thread is dead: whatever still unwinds must not touch the outside."""


@dataclass(eq=False)
class Process:
    """An operating system's process, as far as its end and its pauses go. `life` tells it from the one before it."""

    name: str
    life: int = 0
    alive: bool = True
    stopped_until: float = 0.0
    threads: dict[Thread, None] = field(default_factory=dict)
    mourners: dict[Thread, None] = field(default_factory=dict)


@dataclass(eq=False)
class Thread:
    """A green thread of a process. `token` tells which of its alarms still counts."""

    process: Process
    work: Callable[[], object]
    token: int = 0
    woken: bool = False
    ended: bool = False
    green: Any = None


class Hub:
    """Runs threads; owns time. Errors that nobody caught are kept: each is a fault of the code under test."""

    def __init__(self, chance: random.Random) -> None:
        self.now = 0.0
        self.steps = 0
        self.errors: list[tuple[str, BaseException]] = []
        self._chance = chance
        self._alarms: list[tuple[float, float, int, Thread, int]] = []
        self._tickets = itertools.count()
        self._condemned: list[Process] = []
        # The thread that runs; None outside of `run`.
        self.running: Thread | None = None
        self._green = getcurrent()

    def spawn(self, process: Process, work: Callable[[], object]) -> Thread:
        """Begin a thread, at once or a moment later: threads of one moment run in any order."""
        thread = Thread(process, work)
        thread.green = greenlet(lambda: self._body(thread), parent=self._green)
        process.threads[thread] = None
        self._set_alarm(thread, self.now)
        return thread

    def sleep(self, seconds: float) -> None:
        """Let others run for so long."""
        if self.running is not None:
            self._set_alarm(self.running, self.now + seconds if seconds > 0.0 else self.now)
            self._switch()

    def park(self, seconds: float) -> bool:
        """Sleep until `wake` is called for this thread, or the time is over; whether it was woken."""
        thread = self.running
        assert thread is not None
        if not thread.woken:
            self._set_alarm(thread, self.now + seconds)
            self._switch()
        woken, thread.woken = thread.woken, False
        return woken

    def wake(self, thread: Thread) -> None:
        """End a thread's `park`, the present or the next one."""
        if not thread.ended:
            thread.woken = True
            self._set_alarm(thread, self.now)

    def ask(self, process: Process, work: Callable[[], T], seconds: float = FOR_EVER) -> tuple[T, ...]:
        """Have `work` done in a thread of `process`, and wait: its answer alone, or nothing where the process dies first.

        Nothing as well where `seconds` are over; the work goes on then, and nobody hears of it.
        """
        waiting = self.running
        assert waiting is not None
        answers: list[T] = []

        def answer() -> None:
            answers.append(work())
            self.wake(waiting)

        until = self.now + seconds
        process.mourners[waiting] = None
        self.spawn(process, answer)
        while not answers and process.alive and self.now < until:
            self.park(until - self.now)
        process.mourners.pop(waiting, None)
        return tuple(answers)

    def kill(self, process: Process) -> None:
        """End a process at this very line."""
        if not process.alive:
            return
        process.alive = False
        self._condemned.append(process)
        for mourner in process.mourners:
            self.wake(mourner)
        if self.running is not None and self.running.process is process:
            raise Killed

    def check(self) -> None:
        """Raise Killed in a thread whose process is dead."""
        if self.running is not None and not self.running.process.alive:
            raise Killed

    def run(self, done: Callable[[], bool], limit: float) -> bool:
        """Run until `done`; false where nothing is left to run before that, or `limit` seconds are over."""
        while self._alarms and not done():
            at, tie, ticket, thread, token = heapq.heappop(self._alarms)
            if thread.ended or token != thread.token:
                continue
            if thread.process.stopped_until > at:
                heapq.heappush(self._alarms, (thread.process.stopped_until, tie, ticket, thread, token))
                continue
            if at > limit:
                return False
            if at > self.now:
                self.now = at
            self._resume(thread)
            if self._condemned:
                self._bury()
        return done()

    def close(self) -> None:
        """End every thread that is left."""
        for _, _, _, thread, _ in list(self._alarms):
            thread.process.alive = False
            if thread.process not in self._condemned:
                self._condemned.append(thread.process)
        self._bury()

    def _set_alarm(self, thread: Thread, at: float) -> None:
        thread.token += 1
        heapq.heappush(self._alarms, (at, self._chance.random(), next(self._tickets), thread, thread.token))

    def _switch(self) -> None:
        self.check()
        self._green.switch()
        self.check()

    def _resume(self, thread: Thread) -> None:
        self.steps += 1
        thread.token += 1
        self.running = thread
        try:
            thread.green.switch()
        finally:
            self.running = None

    def _body(self, thread: Thread) -> None:
        try:
            if thread.process.alive:
                thread.work()
        except Killed:
            pass
        except Exception as error:  # kept: it ends a thread of the code under test
            self.errors.append((thread.process.name, error))
        finally:
            thread.ended = True
            thread.process.threads.pop(thread, None)

    def _bury(self) -> None:
        while self._condemned:
            process = self._condemned.pop()
            for thread in list(process.threads):
                self.running = thread
                if thread.green:
                    thread.green.throw(Killed)
                thread.ended = True
                self.running = None
            process.threads.clear()


class VirtualClock:
    """The hub's time as shared.clock.Clock has it."""

    def __init__(self) -> None:
        self.hub: Hub | None = None
        self._moment, self._at = EPOCH, 0.0

    def now(self) -> datetime:
        at = self.hub.now if self.hub else 0.0
        if at != self._at:
            self._moment, self._at = EPOCH + timedelta(seconds=at), at
        return self._moment

    def monotonic(self) -> float:
        return self.hub.now if self.hub else 0.0

    def sleep(self, seconds: float) -> None:
        assert self.hub is not None
        self.hub.sleep(seconds)
