"""Bounds of the pool."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PoolSettings:
    """Bounds of the pool; times in seconds. sshd allows ten sessions per connection, so eight leave room.

    An idle connection costs its share of a core (paramiko polls), a new one 5 ms: hence a short `idle_ttl`. `silence` is
    how long the kernel waits for a peer to acknowledge what was sent. Every `poll` seconds a connection that hears nothing
    looks whether it is to be kept alive, or to end.
    """

    connect_timeout: float = 8.0
    keepalive: int = 15
    poll: float = 0.1
    silence: float = 30.0
    channels: int = 8
    idle_ttl: float = 20.0
    watch_seconds: float = 1.0
    new_per_second: float = 50.0
    breaker_failures: int = 3
    breaker_first: float = 0.5
    breaker_cap: float = 15.0
