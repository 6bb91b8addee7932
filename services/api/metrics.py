"""What Prometheus is told: counted requests, and the state of things as the database has it at the moment."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Connection, func, select

from services.api.domain.seen import Seen
from services.api.gauges import gauges
from services.api.store import tables
from shared.db import Database

BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0, 5.0)
_COUNTED = (("clusters", tables.clusters), ("instances", tables.instances), ("operations", tables.operations))


class Metrics:
    """Counters of this process. A route is its template, never a path, so their number has a limit."""

    def __init__(self) -> None:
        # The times at which series were made would double their number and tell nothing.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "dtrove_http_requests", "requests by route, method and status", ["route", "method", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "dtrove_http_request_seconds", "seconds to the answer, of a stream to its first byte", ["route", "method"],
            buckets=BUCKETS, registry=self._registry,
        )  # fmt: skip

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request was answered."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route, method).observe(seconds)

    def text(self, database: Database, seen: Seen | None = None) -> bytes:
        """Everything, in Prometheus' text format, with what was last seen. Raises Unavailable without the database."""
        found: list[Metric] = []
        if seen is not None:
            found += gauges(seen, (database.clock.now() - seen.at).total_seconds())
        with database.read() as connection:
            found += _states(connection)
        now = CollectorRegistry()
        now.register(_Fixed(tuple(found)))
        return generate_latest(now) + generate_latest(self._registry)


class _Fixed:
    """Metrics that were read a moment ago."""

    def __init__(self, found: tuple[Metric, ...]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """Hand them to Prometheus' client."""
        yield from self._found


def _states(connection: Connection) -> Iterator[Metric]:
    for name, table in _COUNTED:
        family = GaugeMetricFamily(f"dtrove_{name}", f"{name} by status", labels=["status"])
        for status, count in connection.execute(select(table.c.status, func.count()).group_by(table.c.status)):
            family.add_metric([status], count)
        yield family
    parked = connection.execute(select(func.count()).select_from(tables.parked)).scalar_one()
    yield GaugeMetricFamily("dtrove_parked_messages", "messages that no service could take in", value=parked)
