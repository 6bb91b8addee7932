"""What keeps dead hosts from occupying the workers, and many new connections from coming at once."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

from services.datastore_agentless.hosts.base import HostUnreachable
from shared.clock import Clock

Host = tuple[str, int]
# A connect that failed within so long was cheap, and the next attempt may follow after the second of these.
CHEAP_SECONDS, CHEAP_PAUSE = 0.5, 0.1


@dataclass
class _Failures:
    count: int = 0
    shut_until: float = 0.0
    reason: str = ""


@dataclass
class Breaker:
    """Refuses a host at once after `failures` failed connects in a row, for a pause that doubles from `first` to `cap` seconds.

    After the pause one attempt goes through (half open): it heals the host or lengthens the pause. A host that refuses
    within a moment keeps no worker from its work, and is most often one that is starting: it is asked again at once.
    """

    clock: Clock
    failures: int = 3
    first: float = 0.5
    cap: float = 15.0
    _hosts: dict[Host, _Failures] = field(default_factory=dict)

    def guard(self, host: Host, name: str) -> None:
        """Raise HostUnreachable while the breaker is open for a host."""
        known = self._hosts.get(host)
        now = self.clock.monotonic()
        if known and known.count >= self.failures and now < known.shut_until:
            raise HostUnreachable(
                f"{name} ({host[0]}) failed {known.count} times in a row ({known.reason}); "
                f"next attempt in {known.shut_until - now:.1f} s"
            )

    def failed(self, host: Host, reason: str, cost: float) -> None:
        """Count a failed connect that took `cost` seconds."""
        known = self._hosts.setdefault(host, _Failures())
        known.count += 1
        known.reason = reason
        pause = CHEAP_PAUSE if cost < CHEAP_SECONDS else min(self.cap, self.first * 2.0 ** min(known.count, 10))
        jitter = random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        known.shut_until = self.clock.monotonic() + pause * jitter

    def succeeded(self, host: Host) -> None:
        """Forget a host's failures."""
        self._hosts.pop(host, None)


@dataclass
class Pace:
    """Spreads beginnings over time: at most `per_second`, the surplus waits its turn."""

    clock: Clock
    per_second: float
    _next: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        with self._lock:
            now = self.clock.monotonic()
            start = max(now, self._next)
            self._next = start + 1 / self.per_second
        if start > now:
            self.clock.sleep(start - now)
