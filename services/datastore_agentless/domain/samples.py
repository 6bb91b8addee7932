"""What is kept of a node for a day: a few numbers every ten minutes, in a ring that never grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SLOT_SECONDS, SLOTS = 600, 144
KEPT = timedelta(seconds=SLOT_SECONDS * SLOTS)
# Facts of a look that are kept as they are, and the engine's number that is.
FACTS, CONNECTIONS = ("load", "disk_free_percent", "lag_seconds"), "connections"
# What an engine does, by the first of these that it counts: statements, commands, or ends of transactions.
OPERATIONS = (("queries_total",), ("commands_total",), ("commits_total", "rollbacks_total"))
COUNTED = "operations_total"
Measured = Mapping[str, float]


@dataclass(frozen=True)
class Sample:
    """What was measured of a node at a moment; what was not known is left out."""

    instance_id: str
    at: datetime
    measured: Measured


def slot(at: datetime) -> int:
    """The place in time of a moment: one sample is kept of each."""
    return int(at.timestamp() // SLOT_SECONDS)


def place(at: datetime) -> int:
    """The place in the ring of a moment: a day later another sample comes there."""
    return slot(at) % SLOTS


def measured(facts: Mapping[str, object], numbers: Mapping[str, float]) -> Measured:
    """What of a look is kept."""
    found = {name: float(one) for name in FACTS if isinstance(one := facts.get(name), int | float)}
    if CONNECTIONS in numbers:
        found[CONNECTIONS] = numbers[CONNECTIONS]
    counted = next((names for names in OPERATIONS if all(name in numbers for name in names)), ())
    if counted:
        found[COUNTED] = sum(numbers[name] for name in counted)
    return found


def with_rates(samples: Sequence[Sample]) -> list[Sample]:
    """The samples of one node in order, with `operations_per_second` since the one before in place of the count.

    A count that is less than before began anew with its engine, and of that time nothing is known.
    """
    found: list[Sample] = []
    before: Sample | None = None
    for one in samples:
        kept = {name: value for name, value in one.measured.items() if name != COUNTED}
        if before is not None and COUNTED in one.measured and COUNTED in before.measured:
            more = one.measured[COUNTED] - before.measured[COUNTED]
            seconds = (one.at - before.at).total_seconds()
            if more >= 0 and seconds > 0:
                kept["operations_per_second"] = round(more / seconds, 2)
        found.append(Sample(one.instance_id, one.at, kept))
        before = one
    return found
