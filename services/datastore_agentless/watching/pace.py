"""How often."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.datastore_agentless.domain.record import Record, in_doubt

JITTER = 0.1


@dataclass(frozen=True)
class Pace:
    """Times in seconds: from one look to the next, the same in doubt, how long a claim lasts, how often nodes that are the same
    as before are announced.
    """

    seconds: float = 10.0
    doubt: float = 1.0
    lease: float = 15.0
    tell: float = 9.0

    def next_look(self, records: Iterable[Record], now: datetime) -> datetime:
        """When a cluster is due again; never all at the same moment."""
        doubtful = any(in_doubt(one, now) for one in records)
        pause = min(self.doubt, self.seconds) if doubtful else self.seconds
        return now + timedelta(seconds=pause * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - spreads load
