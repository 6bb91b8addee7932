"""A bell for one listener: what rings while nobody listens is heard at the next wait."""

from __future__ import annotations

import eventlet
from eventlet.event import Event


class Bell:
    """Ends a green thread's wait before its time."""

    def __init__(self) -> None:
        self._event = Event()

    def ring(self) -> None:
        """Wake the listener now, or at its next wait."""
        if not self._event.ready():
            self._event.send(True)

    def wait(self, seconds: float) -> None:
        """Wait for the bell, at most `seconds`."""
        with eventlet.Timeout(seconds, False):
            self._event.wait()
        if self._event.ready():
            self._event = Event()
