"""The least that a service of DTrove can be: nameko, one event from the bus, no work. What idling itself takes."""

from __future__ import annotations

from shared.bus import on
from shared.contracts.api import ClusterRequested


class IdleService:
    """Hears one topic and does nothing."""

    name = "bench_idle"

    @on(ClusterRequested)
    def cluster_requested(self, event: ClusterRequested) -> None:
        """Nothing."""
