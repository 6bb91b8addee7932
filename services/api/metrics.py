"""What Prometheus is told: counted requests, and the state of things as the database has it at the moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Connection, func, select

from services.api import backup_metrics, node_metrics
from services.api.domain.seen import Seen
from services.api.gauges import gauges
from services.api.store import health, tables
from shared.db import Database

BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0, 5.0)
_COUNTED = (("clusters", tables.clusters), ("instances", tables.instances), ("operations", tables.operations),
            ("backups", tables.backups))  # fmt: skip


class Metrics:
    """Counters of this process. A route is its template, never a path, so their number has a limit."""

    def __init__(self) -> None:
        # The times at which series were made would double their number and tell nothing.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._known = dict[tuple[str, str, int], tuple[Counter, Histogram]]()
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
        answers, took = self._series(route, method, status)
        answers.inc()
        took.observe(seconds)

    def _series(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        """What is counted in: looked up by its labels once."""
        found = self._known.get((route, method, status))
        if found is None:
            found = self._requests.labels(route, method, str(status)), self._seconds.labels(route, method)
            self._known[route, method, status] = found
        return found

    def text(self, database: Database, seen: Seen | None = None, nodes_of: str | None = None) -> bytes:
        """Everything, in Prometheus' text format, with what was last seen. Raises Unavailable without the database.

        `nodes_of` is the project whose nodes and backups are shown one by one, empty for all; None: nobody's.
        """
        now, found = database.clock.now(), list[Metric]()
        if seen is not None:
            found += gauges(seen, (now - seen.at).total_seconds())
        with database.read() as connection:
            found += _states(connection)
            found += _health(connection, now)
            nodes = None if nodes_of is None else node_metrics.load(connection, now, nodes_of)
            found += [] if nodes_of is None else backup_metrics.families(connection, now, nodes_of)
        collected = CollectorRegistry()
        collected.register(_Fixed(tuple(found)))
        pieces = [generate_latest(collected), generate_latest(self._registry)]
        for family in node_metrics.text(nodes) if nodes is not None else ():
            pieces.append(family)
            # Those of a thousand nodes take a while: whoever else waits goes first.
            database.clock.sleep(0)
        return b"".join(pieces)


class _Fixed:
    """Metrics that were read a moment ago."""

    def __init__(self, found: tuple[Metric, ...]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """Hand them to Prometheus' client."""
        yield from self._found


def _health(connection: Connection, now: datetime) -> Iterator[Metric]:
    found = health.counted(connection)
    nodes = GaugeMetricFamily("dtrove_nodes", "nodes by verdict, as each was last seen", labels=["verdict"])
    for verdict, number, _ in found:
        nodes.add_metric([verdict], number)
    yield nodes
    if found:
        age = (now - min(oldest for _, _, oldest in found)).total_seconds()
        yield GaugeMetricFamily("dtrove_nodes_seen_seconds_ago", "how long ago the node was seen that was seen longest ago",
                                value=age)  # fmt: skip


def _states(connection: Connection) -> Iterator[Metric]:
    for name, table in _COUNTED:
        family = GaugeMetricFamily(f"dtrove_{name}", f"{name} by status", labels=["status"])
        for status, count in connection.execute(select(table.c.status, func.count()).group_by(table.c.status)):
            family.add_metric([status], count)
        yield family
    parked = connection.execute(select(func.count()).select_from(tables.parked)).scalar_one()
    yield GaugeMetricFamily("dtrove_parked_messages", "messages that no service could take in", value=parked)
