"""The moments as of which data can be had again: a range with holes in it, for a slider and the strip above it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

# How wide the strip is, in its own units; nothing in it is so narrow that it cannot be seen.
STRIP, LEAST = 1000, 3


@dataclass(frozen=True)
class Reach:
    """From when to when, as the API writes times; `steps` are the seconds between; `bars` the x and width of what can be had, on the
    strip; `holes` what lies between, from when to when each time.
    """

    earliest: str
    latest: str
    steps: int
    bars: tuple[tuple[int, int], ...]
    holes: tuple[tuple[str, str], ...]


def of_cluster(restorable: Mapping[str, Any] | None) -> Reach | None:
    """What the API says of a cluster; None where no moment can be had but those of its backups."""
    return _reach([(one["since"], one["until"]) for one in restorable["windows"]]) if restorable else None


def of_backup(backup: Mapping[str, Any]) -> Reach | None:
    """The moments that a backup leads to; None where it is its own alone."""
    ended = (backup["facts"] or {}).get("ended_at")
    return _reach([(ended, backup["log_until"])]) if ended and backup["log_until"] else None


def zoned(text: str) -> str:
    """A time that somebody has typed, as the API wants it: without a zone it is UTC. What is no time goes to the API as it is."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return text
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _reach(windows: list[tuple[str, str]]) -> Reach:
    first, last = datetime.fromisoformat(windows[0][0]), datetime.fromisoformat(windows[-1][1])
    whole = max(1.0, (last - first).total_seconds())

    def x(stamp: str) -> int:
        return round((datetime.fromisoformat(stamp) - first).total_seconds() / whole * STRIP)

    bars = tuple((min(x(since), STRIP - LEAST), max(LEAST, x(until) - x(since))) for since, until in windows)
    holes = tuple((before[1], after[0]) for before, after in pairwise(windows))
    return Reach(windows[0][0], windows[-1][1], math.ceil(whole), bars, holes)
