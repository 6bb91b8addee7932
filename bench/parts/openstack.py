"""From a wish to an active cluster on a real OpenStack: what of it is DTrove's, and how much the cloud is asked.

Nova's share is the time until a server is ACTIVE and its volume attached, cloud-init's the time until SSH lets anybody in,
apt's the time of the job that installs packages. All the rest is DTrove's.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass

import requests

from bench.figures import Breakdown, Line, Outcome, at_most, median
from bench.installation import Broken, Installation, Say, installation, operation_of, seconds_of

DATASTORES = ("pgsql", "mysql", "redis")
ROUNDS, AT_ONCE = 3, 20
# Steps in which DTrove does nothing but wait for the cloud.
NOVAS = ("create_server", "wait_for_server", "attach_volume")
CALLS = re.compile(r'^dtrove_provider_calls{provider="openstack"} (\S+)$', re.MULTILINE)
# The API looks at the other services every few seconds; metrics show what it saw last, and how long ago.
AGE = re.compile(r"^dtrove_seen_seconds_ago (\S+)$", re.MULTILINE)
SEEN_WITHIN, LOOK_SECONDS = 60.0, 0.2


@dataclass(frozen=True)
class Run:
    """One create: seconds in all, and whose they were."""

    seconds: float
    steps: dict[str, float]
    nova: float
    cloud_init: float
    apt: float

    @property
    def ours(self) -> float:
        """What is left."""
        return self.seconds - self.nova - self.cloud_init - self.apt


def measure(say: Say) -> Outcome:
    """Three creates of each datastore, one after the other; then twenty at once."""
    lines: list[Line] = []
    breakdowns = []
    named = {name: value for name, value in os.environ.items() if name.startswith("OS_")}
    with installation(say, "openstack", DTROVE_INSTALLATION="dtrove-bench", **named) as dtrove:
        for name in DATASTORES:
            shown = next(one for one in dtrove.get("/v1/datastores")["datastores"] if one["manager"] == name)
            runs = []
            for number in range(1, ROUNDS + 1):
                say(f"{shown['name']}, round {number} of {ROUNDS}")
                runs.append(_create(dtrove, shown["id"], f"{name}-{number}"))
            share = median([one.ours for one in runs])
            lines.append(Line(f"{name}: create → active, DTrove's share", share, "s", target=at_most(3, "s")))
            lines.append(Line(f"{name}: create → active, in all", median([one.seconds for one in runs]), "s"))
            breakdowns.append(_breakdown(name, runs))
        say(f"{AT_ONCE} clusters at once")
        lines += _many(dtrove)
    note = "openstack: SSH and cloud-init are waited for in the step `connect`; its share beyond the login itself is cloud-init's"
    return Outcome(tuple(lines), tuple(breakdowns), (note,))


def _create(dtrove: Installation, datastore: str, name: str) -> Run:
    began = time.monotonic()
    cluster, operation = dtrove.create(name, datastore)
    dtrove.end_of(operation)
    seconds = time.monotonic() - began
    ended = dtrove.settled(operation)
    entries = dtrove.get(f"/v1/operations/{operation}/transcript")["transcript"]
    dtrove.delete(cluster)
    steps = {step["step"]: seconds_of(step) for step in ended["steps"]}
    apt = sum(float(one["seconds"]) for one in entries if one["title"].startswith("install "))
    logged_in = sum(float(one["seconds"]) for one in entries[:3])
    return Run(seconds, steps, sum(steps.get(one, 0.0) for one in NOVAS), max(0.0, steps["connect"] - logged_in), apt)


def _many(dtrove: Installation) -> list[Line]:
    redis = next(one for one in dtrove.get("/v1/datastores")["datastores"] if one["manager"] == "redis")["id"]
    before, began = _calls(dtrove), time.monotonic()
    made = [dtrove.create(f"many-{number}", redis) for number in range(AT_ONCE)]
    active = sum(_succeeds(dtrove, operation) for _, operation in made)
    seconds = time.monotonic() - began
    created = _calls(dtrove)
    for operation in [operation_of(dtrove.ask("DELETE", f"/v1/clusters/{cluster}")) for cluster, _ in made]:
        dtrove.end_of(operation)
    deleted = _calls(dtrove)
    return [
        Line(f"{AT_ONCE} clusters at once: active in the end", active, "clusters"),
        Line(f"{AT_ONCE} clusters at once: until the last has ended", seconds, "s"),
        Line("calls to the cloud for each create", (created - before) / AT_ONCE, "calls"),
        Line("calls to the cloud for each delete", (deleted - created) / AT_ONCE, "calls"),
    ]


def _succeeds(dtrove: Installation, operation: str) -> bool:
    """Whether an operation ends well: a small cloud may be too small for so many servers, and that is a figure too."""
    try:
        dtrove.end_of(operation)
    except Broken:
        return False
    return True


def _calls(dtrove: Installation) -> float:
    """How many calls were made until now, from a look at the services that is younger than this question."""
    asked = time.monotonic()
    while time.monotonic() - asked < SEEN_WITHIN:
        text = requests.get(f"{dtrove.url}/metrics", timeout=10).text
        calls, age = CALLS.search(text), AGE.search(text)
        if calls and age and float(age[1]) < time.monotonic() - asked:
            return float(calls[1])
        time.sleep(LOOK_SECONDS)
    raise Broken("the metrics say nothing of calls to the cloud")


def _breakdown(name: str, runs: list[Run]) -> Breakdown:
    steps = list(runs[-1].steps)
    rows: list[tuple[str | float, ...]] = [(step, median([one.steps.get(step, 0.0) for one in runs])) for step in steps]
    shares = (
        ("Nova, Cinder", "nova"),
        ("cloud-init", "cloud_init"),
        ("apt", "apt"),
        ("DTrove", "ours"),
        ("in all", "seconds"),
    )
    rows += [(f"share of {words}", median([getattr(one, field) for one in runs])) for words, field in shares]
    return Breakdown(
        f"create on OpenStack, {name}: where it goes (seconds, median of {len(runs)})", ("step", "seconds"), tuple(rows)
    )
