"""How much one client may ask, so that the others are served as well: per token, and per address."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from ipaddress import ip_address

from shared.errors import DtroveError

# What a client that was quiet may ask at once, in seconds of its rate.
BURST_SECONDS = 5.0
# So many clients are remembered; those that asked longest ago go first.
CLIENTS_KEPT = 10_000
BODY_BYTES = 256 * 1024


class TooManyRequests(DtroveError):
    """The client asks more than it may; `seconds` from now it may ask again. HTTP 429."""

    def __init__(self, message: str, seconds: float, *, what_to_do: str = "") -> None:
        super().__init__(message, what_to_do=what_to_do)
        self.seconds = max(1, math.ceil(seconds))


@dataclass(frozen=True)
class Limits:
    """What one client may; 0 is no limit.

    `per_token`, `per_project` and `per_address`: requests a second, on average. `at_once`: requests of a token that are worked on at the
    same time; `streams`: of its requests that follow something. `proxies` are the addresses that tell for whom they ask.
    """

    per_token: float = 0.0
    per_project: float = 0.0
    per_address: float = 0.0
    at_once: int = 0
    streams: int = 0
    body_bytes: int = BODY_BYTES
    proxies: tuple[str, ...] = ()


class Buckets:
    """A bucket for each client, which fills at `rate` a second and holds `burst`; a request takes one out of it.

    Source: the token bucket, as in RFC 2697's terms a committed rate and a committed burst.
    """

    def __init__(self, rate: float, burst: float | None = None, kept: int = CLIENTS_KEPT) -> None:
        self._rate, self._kept = rate, kept
        self._burst = max(1.0, rate * BURST_SECONDS if burst is None else burst)
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, client: str, now: float) -> float:
        """Take one at the time `now`, in seconds; returns 0, or how long to wait until there is one."""
        if not self._rate:
            return 0.0
        # Taken out and put in again, a client stands last: who asked longest ago stands first.
        left, seen = self._left.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - seen) * self._rate)
        wait = 0.0 if left >= 1.0 else (1.0 - left) / self._rate
        self._left[client] = (left if wait else left - 1.0, now)
        if len(self._left) > self._kept:
            del self._left[next(iter(self._left))]
        return wait


class Slots:
    """How many things each client has under way, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    def take(self, client: str) -> bool:
        """Take one, where one is free."""
        if self._most and self._taken[client] >= self._most:
            return False
        self._taken[client] += 1
        return True

    def leave(self, client: str) -> None:
        """Give one back."""
        self._taken[client] -= 1
        if self._taken[client] <= 0:
            del self._taken[client]


def client_address(remote: str, forwarded: str, proxies: tuple[str, ...]) -> str:
    """The address of who asks: `remote`, or what stands in X-Forwarded-For where `remote` is one of `proxies`.

    A proxy appends the address that it saw: from the right, the first one that is no proxy of ours is believed, and nothing
    to the left of it, which anybody may have written.
    """
    seen = remote
    for one in reversed(forwarded.split(",") if forwarded else []):
        if seen not in proxies:
            break
        try:
            seen = str(ip_address(one.strip()))
        except ValueError:
            break
    return seen
