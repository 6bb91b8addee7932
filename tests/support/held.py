"""A clock for tests with several threads: time moves when it is told to, and who waits for another thread lets it work."""

from __future__ import annotations

import threading

from shared.clock import ManualClock

# A lock of the database is looked at again after so long, whatever was asked for: nobody's time moves meanwhile.
MOST_SECONDS = 0.01


class HeldClock(ManualClock):
    """A ManualClock that `sleep` does not move: it gives the processor away for a moment."""

    def sleep(self, seconds: float) -> None:
        """Let others work."""
        threading.Event().wait(min(seconds, MOST_SECONDS))
