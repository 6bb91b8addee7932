"""What a step says while it works, and what it hears: that it is to stop, or that its task is another's now."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from shared.clock import Clock
from shared.errors import Cancelled, StaleEpoch, Unavailable
from shared.workflow import Task

REPORT_SECONDS = 0.5
# Characters of a step's output that are kept while they cannot be stored.
OUTPUT_KEPT = 262_144

log = logging.getLogger(__name__)


@dataclass
class Running:
    """A task in this process's hands, as its heartbeat sees it."""

    task: Task
    lost: bool = False
    cancelled: bool = False


class Reporter:
    """What a step says while it works, gathered so that a chatty step does not flood the bus."""

    def __init__(self, running: Running, announce: Callable[..., None], clock: Clock) -> None:
        self._running = running
        self._task = running.task
        self._announce = announce
        self._clock = clock
        self._said: tuple[int | None, str] = (None, "")
        self._output = ""
        self._last = 0.0

    def report(self, percent: int | None, message: str, output: str) -> None:
        """Pass on at once what is new in kind, at most twice a second what only moves."""
        self._output += output
        fresh = bool(message) and message != self._said[1]
        self._said = (self._said[0] if percent is None else percent, message or self._said[1])
        if fresh or self._clock.monotonic() - self._last >= REPORT_SECONDS:
            self._send()

    def flush(self) -> None:
        """Send the output that is still held back; then see whether the claim still stands."""
        if self._output:
            self._send()
        if self._running.lost:
            raise StaleEpoch(f"task {self._task.id} was taken over by another worker")

    def check(self) -> None:
        """Raise StaleEpoch when the claim is lost, Cancelled when the user wants the work to stop.

        Output that was held back is sent by now, for a step that asks this may have nothing more to say for an hour.
        """
        if self._running.lost:
            raise StaleEpoch(f"task {self._task.id} was taken over by another worker")
        if self._running.cancelled and self._task.mode == "forward":
            raise Cancelled("the operation was cancelled")
        if self._output and self._clock.monotonic() - self._last >= REPORT_SECONDS:
            self._send()

    def _send(self) -> None:
        percent, message = self._said
        self._last = self._clock.monotonic()
        try:
            self._announce(self._task, "running", percent=percent, message=message, output=self._output)
        except Unavailable as error:
            # Work on a host is not broken off because nobody can be told of it: the words are kept for later.
            log.warning("a report of task %s waits: %s", self._task.id, error)
            self._output = self._output[-OUTPUT_KEPT:]
            return
        self._output = ""
