"""From a wish to an active cluster, against the same commands as one shell script over the ssh binary.

Both begin with nothing: a host is made from the same image by the same provider, then the same commands run on it.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import script
from bench.figures import Breakdown, Line, Outcome, median, ratio_at_most
from bench.hosts import Hosts
from bench.installation import Broken, Installation, Say, installation, seconds_of
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.instance import Instance
from shared.contracts.values import Flavor
from shared.secrets import generate_password

DATASTORES = ("pgsql", "redis", "mysql")
ROUNDS = 3
FLAVOR = "small"
# In a transcript: nothing ran, for sshd was not up yet; the step is tried again.
UNREACHED = -1
ON_HOST = ("connect", "trust", "pin", "preflight", "mount", "prepare", "verify")


@dataclass(frozen=True)
class Run:
    """One way from nothing to a database: seconds in all, by step, and by command on the host."""

    seconds: float
    steps: dict[str, float]
    commands: tuple[tuple[str, float], ...]

    @property
    def on_host(self) -> float:
        """Seconds that the commands on the host took."""
        return sum(seconds for _, seconds in self.commands)


def measure(say: Say) -> Outcome:
    """Three rounds for each datastore after one that does not count; who begins changes from round to round."""
    lines: list[Line] = []
    breakdowns, facts = [], {}
    with installation(say, "local") as dtrove, tempfile.TemporaryDirectory(prefix="dtrove-bench-keys-") as keys:
        flavor = next(one for one in dtrove.get("/v1/flavors")["flavors"] if one["name"] == FLAVOR)
        hosts = Hosts(dtrove, Flavor(**flavor), Path(keys))
        for name in DATASTORES:
            ours, plain = _rounds(say, dtrove, hosts, name)
            lines += _lines(name, ours, plain)
            breakdowns.append(_breakdown(name, ours, plain))
            facts[name] = {"dtrove": [_shown(one) for one in ours], "script": [_shown(one) for one in plain]}
    note = (
        "create: POST to active, as a client sees it, with a host made from a warm image and its packages from the same "
        "cache of apt; the script runs the commands of DTrove's own plan, compared with the transcript one by one"
    )
    return Outcome(tuple(lines), tuple(breakdowns), (note,), facts)


def _rounds(say: Say, dtrove: Installation, hosts: Hosts, name: str) -> tuple[list[Run], list[Run]]:
    shown = next(one for one in dtrove.get("/v1/datastores")["datastores"] if one["manager"] == name)
    ours: list[Run] = []
    plain: list[Run] = []
    for number in range(ROUNDS + 1):
        say(f"{shown['name']}, " + (f"round {number} of {ROUNDS}" if number else "a round that does not count"))
        if number % 2:
            ours.append(_with_dtrove(dtrove, shown, number))
        plain.append(_by_script(hosts, script.manager_of(shown)))
        if not number % 2:
            ours.append(_with_dtrove(dtrove, shown, number))
        _compare(ours[-1], plain[-1])
    return ours[1:], plain[1:]


def _with_dtrove(dtrove: Installation, datastore: dict[str, Any], number: int) -> Run:
    began = time.monotonic()
    cluster, operation = dtrove.create(f"{datastore['manager']}-{number}", datastore["id"])
    dtrove.end_of(operation)
    seconds = time.monotonic() - began
    ended = dtrove.settled(operation)
    entries = dtrove.get(f"/v1/operations/{operation}/transcript")["transcript"]
    dtrove.delete(cluster)
    return Run(
        seconds, {step["step"]: seconds_of(step) for step in ended["steps"]},
        tuple((entry["title"], float(entry["seconds"])) for entry in entries if _on_host(entry)),
    )  # fmt: skip


def _on_host(entry: dict[str, Any]) -> bool:
    """Whether a line of the transcript is a command that ran there: neither a try that did not reach it, nor a provider's doing."""
    return entry["exit_code"] != UNREACHED and not entry["command"].startswith("the provider: ")


def _by_script(hosts: Hosts, manager: BaseManager) -> Run:
    began = time.monotonic()
    server, line = hosts.make("script-1")
    ready = time.monotonic()
    node = Instance(
        id=server.id, cluster_id=server.cluster_id, name=server.name, addr=server.addr, user=server.user,
        ram_mb=server.flavor.ram_mb, vcpus=server.flavor.vcpus, admin_user=manager.admin_user,
        admin_password=generate_password(),
    )  # fmt: skip
    parts = script.write(manager, node)
    output = line.run("cat > /run/dtrove-bench.sh && sh /run/dtrove-bench.sh", stdin=script.text(parts))
    seconds = time.monotonic() - began
    hosts.remove(server)
    taken = script.times(parts, output)
    steps = {"the host": ready - began}
    for part, each in zip(parts, taken, strict=True):
        steps[part.step] = steps.get(part.step, 0.0) + each
    return Run(seconds, steps, tuple((part.title, each) for part, each in zip(parts, taken, strict=True)))


def _compare(ours: Run, plain: Run) -> None:
    """Raise Broken unless both ran the same commands in the same order."""
    first, second = [title for title, _ in ours.commands], [title for title, _ in plain.commands]
    if first != second:
        raise Broken(f"DTrove and the script did not do the same work:\n{first}\n{second}")


def _lines(name: str, ours: list[Run], plain: list[Run]) -> list[Line]:
    total, script_total = median([one.seconds for one in ours]), median([one.seconds for one in plain])
    script_alone = median([one.on_host for one in plain])
    target = ratio_at_most(1.1, 2, "s")
    alone = f"{name}: the same, the script's host being there already"
    return [
        Line(f"{name}: create → active", total, "s", script_total, "host and plain script", target),
        Line(alone, total, "s", script_alone, "plain script alone", target),
    ]


def _breakdown(name: str, ours: list[Run], plain: list[Run]) -> Breakdown:
    """Medians by step; what no step accounts for is the way of messages between them, and the client's looks."""
    names = list(ours[-1].steps)
    mine = {step: median([one.steps.get(step, 0.0) for one in ours]) for step in names}
    mine["between steps"] = median([one.seconds - sum(one.steps.values()) for one in ours])
    theirs = {step: median([one.steps.get(step, 0.0) for one in plain]) for step in ("the host", *ON_HOST)}
    theirs["between steps"] = median([one.seconds - sum(one.steps.values()) for one in plain])
    before = [step for step in names if step not in ON_HOST]
    rows = [_row("the host, ready to log in", sum(mine[step] for step in before), theirs["the host"])]
    rows += [(f"  {step}", mine[step], "", "") for step in before]
    rows += [_row(step, mine[step], theirs[step]) for step in (*ON_HOST, "between steps")]
    rows.append(_row("in all", median([one.seconds for one in ours]), median([one.seconds for one in plain])))
    return Breakdown(f"create, {name}: where it goes (seconds, median of {len(ours)})",
                     ("step", "DTrove", "script", "more"), tuple(rows))  # fmt: skip


def _row(step: str, mine: float, theirs: float) -> tuple[str | float, ...]:
    return step, mine, theirs, mine - theirs


def _shown(run: Run) -> dict[str, Any]:
    return {
        "seconds": round(run.seconds, 3), "steps": {step: round(each, 3) for step, each in run.steps.items()},
        "commands": [{"title": title, "seconds": round(each, 4)} for title, each in run.commands],
    }  # fmt: skip
