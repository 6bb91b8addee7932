"""A hundred clusters at once, on a cloud and on hosts that are in memory: what DTrove itself takes for them."""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

import requests

from bench.figures import Breakdown, Line, Outcome, at_most
from bench.installation import CONFIG, ROOT, Broken, Installation, Say, installation
from bench.processes import Usage, usage
from client.supervisor import SERVICES

CLUSTERS = 100
ASKING = 8
SECONDS = 600.0
IDLE_SECONDS = 30.0
LOOK_SECONDS, QUIET_SECONDS = 0.5, 3.0
IDLE_MB, IDLE_PERCENT = 120.0, 1.0
DATASTORES = ("pgsql 15", "redis 7.0", "mysql 10.11")


@dataclass(frozen=True)
class Burst:
    """What a hundred clusters took: seconds until the last was accepted, was active, had sent its last report."""

    accepted: float
    seconds: float
    drained: float
    published: int
    handled: dict[str, int]
    before: dict[str, Usage]
    after: dict[str, Usage]


@dataclass(frozen=True)
class Idling:
    """A process at rest: MB in memory, percent of a core."""

    rss_mb: float
    percent: float


def measure(say: Say) -> Outcome:
    """One cluster alone first, then all at once; then half a minute of rest."""
    # What watching costs is the part `watch`; here its reports would never end.
    with installation(say, "fake", DTROVE_WATCH_SECONDS="0") as dtrove:
        say("one cluster alone")
        alone = min(_alone(dtrove, number) for number in range(3))
        say(f"{CLUSTERS} clusters at once")
        burst = _burst(dtrove)
        with _idle_service(dtrove) as empty:
            say(f"{IDLE_SECONDS:.0f} s of rest")
            time.sleep(QUIET_SECONDS)
            idling = _idle({**dtrove.pids(), "empty": empty})
    note = (
        "hundred: provider `fake`, hosts under .invalid, which nobody watches (see `watch`); a message is what one service "
        "published, counted by the inboxes of all; the empty service is nameko with one event and no work, on the same broker"
    )
    facts = {
        "alone_seconds": round(alone, 3), "accepted_seconds": round(burst.accepted, 3), "seconds": round(burst.seconds, 3),
        "drained_seconds": round(burst.drained, 3), "messages": burst.published, "handled": burst.handled,
    }  # fmt: skip
    return Outcome(tuple(_lines(alone, burst, idling)), (_breakdown(burst),), (note,), facts)


def _alone(dtrove: Installation, number: int) -> float:
    began = time.monotonic()
    _, operation = dtrove.create(f"alone-{number}", DATASTORES[0])
    dtrove.end_of(operation)
    return time.monotonic() - began


def _burst(dtrove: Installation) -> Burst:
    pids = dtrove.pids()
    known, handled = _messages(dtrove)
    before = {name: usage(pid) for name, pid in pids.items()}
    began = time.time()
    with ThreadPoolExecutor(ASKING) as pool:
        operations = list(pool.map(lambda number: _ask(dtrove, number), range(CLUSTERS)))
    accepted = time.time() - began
    ended = _wait_all(dtrove, set(operations))
    published, now = _drained(dtrove)
    drained = time.time() - began
    if dtrove.pids() != pids:
        raise Broken("a service ended and was started again while it was measured")
    after = {name: usage(pid) for name, pid in pids.items()}
    more = {name: now[name] - handled[name] for name in SERVICES}
    return Burst(accepted, ended - began, drained - QUIET_SECONDS, published - known, more, before, after)


def _ask(dtrove: Installation, number: int) -> str:
    wish = {"name": f"many-{number}", "datastore": DATASTORES[number % len(DATASTORES)], "size": 1, "flavor": "small"}
    headers = {"Authorization": f"Bearer {dtrove.token}"}
    answer = requests.post(f"{dtrove.url}/v1/clusters", json=wish, headers=headers, timeout=60)
    if answer.status_code != requests.codes.accepted:
        raise Broken(f"a wish was answered {answer.status_code}: {answer.text[:500]}")
    return answer.headers["Location"].rpartition("/")[2]


def _wait_all(dtrove: Installation, operations: set[str]) -> float:
    """Wait until each has succeeded; returns when the last one did. Looks are rare: they are work as well."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        shown = dtrove.get(f"/v1/operations?limit={CLUSTERS}")["operations"]
        ours = [one for one in shown if one["id"] in operations]
        states = [one["status"] for one in ours]
        if states == ["succeeded"] * len(operations):
            return max(datetime.fromisoformat(one["finished_at"]).timestamp() for one in ours)
        if "failed" in states:
            raise Broken("a cluster of the hundred has failed")
        time.sleep(LOOK_SECONDS)
    raise Broken(f"not all were active after {SECONDS:.0f} s")


def _drained(dtrove: Installation) -> tuple[int, dict[str, int]]:
    """What the inboxes hold once nothing has come in for a while: the last reports are later than the last end."""
    until, last, since = time.monotonic() + SECONDS, 0, time.monotonic()
    while time.monotonic() < until:
        published, handled = _messages(dtrove)
        if published != last:
            last, since = published, time.monotonic()
        elif time.monotonic() - since > QUIET_SECONDS:
            return published, handled
        time.sleep(LOOK_SECONDS)
    raise Broken(f"messages still came in after {SECONDS:.0f} s")


def _messages(dtrove: Installation) -> tuple[int, dict[str, int]]:
    """How many different messages were taken in so far, and how many by each service."""
    seen: set[str] = set()
    handled = {}
    for service in SERVICES:
        with closing(sqlite3.connect(dtrove.database(service), timeout=30)) as database:
            ids = [row[0] for row in database.execute("select event_id from inbox")]
        seen.update(ids)
        handled[service] = len(ids)
    return len(seen), handled


@contextmanager
def _idle_service(dtrove: Installation) -> Iterator[int]:
    """The empty service, on the same broker; the number of its process."""
    lines = shlex.split((dtrove.home / "run" / "environment").read_text())
    environ = dict(line.split("=", 1) for line in lines)
    command = [sys.executable, "-m", "shared.bus.process", "--config", str(CONFIG), "bench.idle_service"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environ}, stdin=quiet, stdout=quiet, stderr=quiet
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _idle(pids: dict[str, int]) -> dict[str, Idling]:
    before = {name: usage(pid).cpu_seconds for name, pid in pids.items()}
    time.sleep(IDLE_SECONDS)
    found = {}
    for name, pid in pids.items():
        now = usage(pid)
        found[name] = Idling(now.rss_mb, 100 * (now.cpu_seconds - before[name]) / IDLE_SECONDS)
    return found


def _lines(alone: float, burst: Burst, idling: dict[str, Idling]) -> Iterator[Line]:
    yield Line(f"{CLUSTERS} clusters at once, all active", burst.seconds, "s", alone, "one alone")
    yield Line("of these per second", CLUSTERS / burst.seconds, "1/s", 1 / alone, "one after another")
    yield Line("messages for each", burst.published / CLUSTERS, "")
    empty = idling["empty"]
    for name in SERVICES:
        yield Line(f"{name}, highest memory", burst.after[name].peak_mb, "MB", empty.rss_mb, "empty service")
    for name in SERVICES:
        target = at_most(IDLE_MB, "MB")
        yield Line(f"{name} at rest, memory", idling[name].rss_mb, "MB", empty.rss_mb, "empty service", target)
    for name in SERVICES:
        target = at_most(IDLE_PERCENT, "%")
        yield Line(f"{name} at rest, of a core", idling[name].percent, "%", empty.percent, "empty service", target)


def _breakdown(burst: Burst) -> Breakdown:
    rows = []
    for name in SERVICES:
        before, after = burst.before[name], burst.after[name]
        rows.append(
            (name, burst.handled[name], after.cpu_seconds - before.cpu_seconds, after.written_mb - before.written_mb,
             before.rss_mb, after.rss_mb, after.peak_mb)
        )  # fmt: skip
    columns = ("service", "messages taken in", "seconds on a core", "MB written", "MB before", "MB after", "MB at most")
    return Breakdown(f"hundred: what each service took for {CLUSTERS} clusters", columns, tuple(rows))
