"""A thousand simulated nodes watched for a minute: the share of a core that it takes, and how old what is shown is."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from bench import rows
from bench.figures import Line, Outcome, at_most, percentile
from bench.installation import Broken, Installation, Say, installation
from bench.processes import usage

NODES, INTERVAL, SECONDS = 1_000, 15, 60.0
IDLE_SECONDS, ENROL_SECONDS = 20.0, 120.0
CORES, STALE_SECONDS = 0.5, 30.0
# Who looks, and who takes in what was seen.
WATCHING = ("datastore_agentless", "api")


@dataclass(frozen=True)
class Spent:
    """Shares of a core by service, over some seconds."""

    shares: dict[str, float]

    @property
    def total(self) -> float:
        """Of all that take part."""
        return sum(self.shares[name] for name in WATCHING)


def measure(say: Say) -> Outcome:
    """The same installation idle, then with a thousand clusters of one node."""
    with installation(say, "fake", DTROVE_WATCH_SECONDS=str(INTERVAL)) as dtrove:
        say("making the cluster whose copies are watched")
        model = dtrove.cluster("model", "redis 7.0")
        idle = _spent(dtrove, IDLE_SECONDS)
        say(f"{NODES} nodes, until each was seen")
        rows.watched(dtrove.database("api"), dtrove.database("datastore_agentless"), model["id"], NODES)
        _wait_until_seen(dtrove)
        say(f"watching them every {INTERVAL} s, for {SECONDS:.0f} s")
        ages: list[float] = []
        busy = _spent(dtrove, SECONDS, ages)
    note = (
        f"watch: {NODES} clusters of one simulated node each (SQLite, one process for each service), looked at every {INTERVAL} s; a "
        f"core's share is that of {' and '.join(WATCHING)} together, and the age is that of what the API has, once a second"
    )
    lines = (
        Line(f"{NODES} nodes watched at {INTERVAL} s, share of a core", busy.total, "cores", idle.total, "one node",
             at_most(CORES, "cores")),
        Line("how old what is shown is, p99", percentile(ages, 99), "s", target=at_most(STALE_SECONDS, "s")),
        Line("how old what is shown is, p50", percentile(ages, 50), "s"),
    )  # fmt: skip
    return Outcome(lines, notes=(note,), facts={"busy": busy.shares, "idle": idle.shares, "oldest": max(ages)})


def _spent(dtrove: Installation, seconds: float, ages: list[float] | None = None) -> Spent:
    """What the services take for a while; meanwhile the age of each node is noted once a second."""
    pids = dtrove.pids()
    before, began = {name: usage(pid).cpu_seconds for name, pid in pids.items()}, time.monotonic()
    while time.monotonic() - began < seconds:
        if ages is not None:
            ages += _ages(dtrove)
        time.sleep(1.0)
    passed = time.monotonic() - began
    return Spent({name: (usage(pid).cpu_seconds - before[name]) / passed for name, pid in pids.items()})


def _wait_until_seen(dtrove: Installation) -> None:
    until = time.monotonic() + ENROL_SECONDS
    while (seen := sum(1 for _ in _ages(dtrove))) < NODES:
        if time.monotonic() > until:
            raise Broken(f"after {ENROL_SECONDS:.0f} s {seen} of {NODES} nodes were seen")
        time.sleep(1.0)


def _ages(dtrove: Installation) -> Iterator[float]:
    with closing(sqlite3.connect(dtrove.database("api"), timeout=10)) as connection:
        moments = [row[0] for row in connection.execute("SELECT seen_at FROM health")]
    now = datetime.now(UTC)
    for moment in moments:
        yield (now - datetime.fromisoformat(moment).replace(tzinfo=UTC)).total_seconds()
