"""From a wish that was accepted to the command on a host that is up: what the way through API, bus and steps takes.

The command is `date +%s.%N`: the host is a container of this machine and has its clock. So what is measured ends a
little after the first byte of SSH: with the command's start on the host, log-in and all.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.figures import Line, Outcome, at_most, percentile
from bench.installation import Installation, Say, installation
from bench.openssh import KeyPair, make_pair
from bench.openssh import Line as SshLine
from services.provisioner.providers.local.engine import connect

TIMES = 20
LIMIT_MS = 250.0
PAUSE = 0.3
DATE = "date +%s.%N"


def measure(say: Say) -> Outcome:
    """Twenty times over the open connection, twenty times after it was cut; the ssh binary likewise."""
    with installation(say, "local") as dtrove, tempfile.TemporaryDirectory(prefix="dtrove-bench-keys-") as folder:
        say("making a cluster")
        cluster = dtrove.cluster("accept", "redis 7.0")
        node = cluster["instances"][0]
        warm_line, cold_line = _way_in(dtrove, node, Path(folder))
        cut = _cutter(dtrove, node["id"])
        say(f"{TIMES} times over an open connection")
        _once(dtrove, node["id"])
        warm = [_once(dtrove, node["id"]) for _ in range(TIMES)]
        say(f"{TIMES} times with a new connection each")
        cold = [_once(dtrove, node["id"], cut) for _ in range(TIMES)]
        say("the ssh binary")
        warm_line.open_master()
        warm_ssh = [_by_ssh(warm_line) for _ in range(TIMES)]
        warm_line.close_master()
        cold_ssh = [_by_ssh(cold_line) for _ in range(TIMES)]
    lines = _lines("connected", warm, warm_ssh, "ssh, ControlMaster") + _lines("cold", cold, cold_ssh, "ssh")
    note = (
        "accept: from the 202 of POST /v1/instances/{id}/perform to the time that its command `date` reads on the host, "
        "so more than to the first byte of SSH; the baseline is from the start of the ssh binary to the same"
    )
    facts = {"connected_ms": _shown(warm), "cold_ms": _shown(cold), "ssh_connected_ms": _shown(warm_ssh),
             "ssh_cold_ms": _shown(cold_ssh)}  # fmt: skip
    return Outcome(tuple(lines), notes=(note,), facts=facts)


def _once(dtrove: Installation, instance: str, before: Callable[[], object] | None = None) -> float:
    """Milliseconds from the answer to the host's own stamp."""
    if before:
        before()
    # Let what the one before has left behind come to rest: reports, relays, the next look of idle workers.
    time.sleep(PAUSE)
    operation = dtrove.perform(instance, DATE)
    accepted = time.time()
    output = dtrove.end_of(operation)["output"].strip()
    while not output:
        output = dtrove.get(f"/v1/operations/{operation}")["output"].strip()
    return (float(output) - accepted) * 1000


def _by_ssh(line: SshLine) -> float:
    began = time.time()
    return (float(line.run(DATE)) - began) * 1000


def _way_in(dtrove: Installation, node: dict[str, Any], folder: Path) -> tuple[SshLine, SshLine]:
    """The ssh binary's way to the same host: connected by a ControlMaster, and not."""
    pair: KeyPair = make_pair(folder / "login")
    key = f"umask 077; mkdir -p ~/.ssh; echo '{pair.public}' >> ~/.ssh/authorized_keys; cat /etc/ssh/ssh_host_ed25519_key.pub"
    shown = dtrove.end_of(dtrove.perform(node["id"], key))
    host_key = " ".join(dtrove.settled(shown["id"])["output"].split()[:2])
    return (SshLine(node["addr"], 22, "root", pair, host_key, folder / "control"),
            SshLine(node["addr"], 22, "root", pair, host_key))  # fmt: skip


def _cutter(dtrove: Installation, instance: str) -> Callable[[], object]:
    """What ends every SSH connection of the host from inside, so that the next command finds none open."""
    container = connect(dtrove.home).containers.get(f"dtrove-{instance}")

    def cut() -> None:
        container.exec_run(["pkill", "-f", "^sshd: root"])

    return cut


def _lines(how: str, ours: list[float], theirs: list[float], against: str) -> list[Line]:
    target = at_most(LIMIT_MS, "ms")
    return [
        Line(f"accepted → command runs, {how}, {name}", percentile(ours, percent), "ms", percentile(theirs, percent),
             against, target) for name, percent in (("p50", 50), ("p95", 95), ("max", 100))
    ]  # fmt: skip


def _shown(values: list[float]) -> list[float]:
    return [round(value, 1) for value in values]
