"""From a wish that was accepted to the first byte of SSH on a host that is up, and to the command's start there.

SSH begins when the transcript says that the first command was begun: its bytes go out at once where a connection is open,
those of the log-in where none is. The command is `date +%s.%N`, and its host a container of this machine with the same
clock: so it says by itself when it ran, with log-in and detached job and all.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.figures import Line, Outcome, at_most, median, percentile
from bench.installation import Installation, Say, installation
from bench.openssh import KeyPair, make_pair
from bench.openssh import Line as SshLine
from services.provisioner.providers.local.engine import connect

TIMES = 20
LIMIT_MS = 250.0
PAUSE = 0.3
DATE = "date +%s.%N"
SHOWN = (("p50", 50), ("p95", 95), ("max", 100))


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
    note = (
        "accept: from the 202 of POST /v1/instances/{id}/perform to the start of its first command in the transcript (first "
        "byte), and to the time that this command, `date`, reads on the host; the baseline is from the start of the ssh binary"
    )
    facts = {"connected": [vars(one) for one in warm], "cold": [vars(one) for one in cold],
             "ssh_connected_ms": warm_ssh, "ssh_cold_ms": cold_ssh}  # fmt: skip
    return Outcome(tuple(_lines(warm, cold, warm_ssh, cold_ssh)), notes=(note,), facts=facts)


@dataclass(frozen=True)
class Way:
    """Milliseconds from the answer to a wish until SSH began, and until the command ran on the host."""

    begun: float
    ran: float


def _once(dtrove: Installation, instance: str, before: Callable[[], object] | None = None) -> Way:
    if before:
        before()
    # Let what the one before has left behind come to rest: reports, relays, the next look of idle workers.
    time.sleep(PAUSE)
    operation = dtrove.perform(instance, DATE)
    accepted = time.time()
    # A look at the API meanwhile would be in the way of what is measured.
    time.sleep(PAUSE)
    ran = float(_printed(dtrove, operation))
    return Way(1000 * (_begun(dtrove, operation) - accepted), 1000 * (ran - accepted))


def _begun(dtrove: Installation, operation: str) -> float:
    """When the operation's first command was begun; its record may come a little later than the end."""
    entries: list[dict[str, Any]] = []
    while not entries:
        entries = dtrove.get(f"/v1/operations/{operation}/transcript")["transcript"]
    return datetime.fromisoformat(entries[0]["started_at"]).timestamp()


def _printed(dtrove: Installation, operation: str) -> str:
    """What the only command of a `perform` printed."""
    return str(dtrove.end_of(operation)["result"]["results"][0]["stdout"])


def _by_ssh(line: SshLine) -> float:
    began = time.time()
    return (float(line.run(DATE)) - began) * 1000


def _way_in(dtrove: Installation, node: dict[str, Any], folder: Path) -> tuple[SshLine, SshLine]:
    """The ssh binary's way to the same host: connected by a ControlMaster, and not."""
    pair: KeyPair = make_pair(folder / "login")
    key = f"umask 077; mkdir -p ~/.ssh; echo '{pair.public}' >> ~/.ssh/authorized_keys; cat /etc/ssh/ssh_host_ed25519_key.pub"
    host_key = " ".join(_printed(dtrove, dtrove.perform(node["id"], key)).split()[:2])
    return (SshLine(node["addr"], 22, "root", pair, host_key, folder / "control"),
            SshLine(node["addr"], 22, "root", pair, host_key))  # fmt: skip


def _cutter(dtrove: Installation, instance: str) -> Callable[[], object]:
    """What ends every SSH connection of the host from inside, so that the next command finds none open."""
    container = connect(dtrove.home).containers.get(f"dtrove-{instance}")

    def cut() -> None:
        container.exec_run(["pkill", "-f", "^sshd: root"])

    return cut


def _lines(warm: list[Way], cold: list[Way], warm_ssh: list[float], cold_ssh: list[float]) -> Iterator[Line]:
    target = at_most(LIMIT_MS, "ms")
    for how, ways in (("connected", warm), ("not connected", cold)):
        for name, percent in SHOWN:
            figure = percentile([one.begun for one in ways], percent)
            yield Line(f"accepted → first byte, {how}, {name}", figure, "ms", target=target)
    for how, ways, plain, against in (
        ("connected", warm, warm_ssh, "ssh, ControlMaster"), ("not connected", cold, cold_ssh, "ssh")
    ):  # fmt: skip
        figure = median([one.ran for one in ways])
        yield Line(f"accepted → command runs, {how}, p50", figure, "ms", median(plain), against)
