"""What the seed decides: where faults strike, and every number that the code under test draws."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# Runs from this seed on are storms.
STORMS = 1_000_000


@contextmanager
def determined(seed: int) -> Iterator[random.Random]:
    """Make this process draw the same numbers whenever it is given the same seed. PYTHONHASHSEED has to be fixed as well."""
    drawn = random.Random(f"drawn:{seed}")
    kept = os.urandom, random._urandom, random.getstate()  # type: ignore[attr-defined]
    os.urandom = random._urandom = drawn.randbytes  # type: ignore[attr-defined]
    assert uuid.os.urandom is os.urandom  # type: ignore[attr-defined]
    random.seed(f"jitter:{seed}")
    try:
        yield random.Random(f"schedule:{seed}")
    finally:
        os.urandom, random._urandom = kept[0], kept[1]  # type: ignore[attr-defined]
        random.setstate(kept[2])


@dataclass
class Plan:
    """How many faults of which kinds a run has, and how likely a place is to be struck.

    `odds` is the chance of a fault at one place that can fail; faults end once the `budget` is used up.
    """

    budget: int
    odds: float
    kinds: tuple[str, ...]

    @classmethod
    def draw(cls, chance: random.Random) -> Plan:
        """One run's plan: from none at all to a dozen faults, of one kind or of all."""
        budget = chance.choice((0, 1, 1, 2, 2, 3, 4, 6, 12))
        kinds = KINDS if chance.random() < 0.6 else tuple(chance.sample(KINDS, chance.randint(1, 3)))
        return cls(budget, chance.choice((0.01, 0.03, 0.1)), kinds)

    @classmethod
    def storm(cls, chance: random.Random) -> Plan:
        """A run in which processes die, and die again while they still mend what the last death has left."""
        return cls(chance.choice((20, 40, 60)), chance.choice((0.02, 0.03, 0.05)), ("kill",))

    @classmethod
    def of(cls, seed: int, chance: random.Random) -> Plan:
        """The plan of a seed: a storm of deaths from STORMS on."""
        return cls.storm(chance) if seed >= STORMS else cls.draw(chance)


KINDS = (
    "kill",        # a process dies at this line
    "stop",        # it stands still, for longer than a lease
    "database",    # its database is away for a while
    "unknown",     # a commit whose outcome is not told
    "broker",      # the broker is away for a while
    "unconfirmed", # a publish that took place, and was not confirmed
    "double",      # a message that comes two to five times
    "late",        # a message that others overtake
    "lost",        # a message that the broker loses after it has confirmed it
    "cloud",       # the cloud answers 500, 429, not at all, or does what it was asked and does not say so
    "cut",         # the line to a host is cut before a command, or after it
    "away",        # a host cannot be reached for a while
    "reboot",      # a host restarts: what ran on it is gone
    "rpc",         # an answer over RPC is lost
)  # fmt: skip
