"""Where a node stands among those of its cluster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """Where a node stands, as its own database says.

    `received` counts how much of the cluster's history it has, so that two nodes which followed the same primary can be
    compared: bytes of WAL for PostgreSQL, transactions for MariaDB, bytes of the replication stream for Redis. `position` is
    the same in the engine's own words. `follows` is the address of whom it follows, empty for nobody; `streams` tells
    whether it receives at this moment, which is a replica's testimony that its primary lives. `lag_seconds` is None where
    it is not known.
    """

    writable: bool
    received: int = 0
    position: str = ""
    follows: str = ""
    streams: bool = False
    lag_seconds: float | None = None
