"""DTrove's SSH pool against the ssh binary: a command on a host, and one on each of fifty hosts."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figures import Line, Outcome, at_most, median, percentile
from bench.installation import ROOT, Broken, Say
from bench.openssh import Line as SshLine
from bench.sshd import Sshd, sshd
from services.datastore_agentless.hosts.ssh import PoolSettings

HOSTS = 50
ROUNDS = 5
COMMANDS = 200
LIMIT_MS = 6.0


def measure(say: Say) -> Outcome:
    """The pool and the binary one after the other, on the same fifty hosts."""
    with tempfile.TemporaryDirectory(prefix="dtrove-bench-ssh-") as name, sshd(Path(name), HOSTS) as server:
        folder = Path(name)
        say(f"the pool: {HOSTS} hosts, {ROUNDS} times; {COMMANDS} commands on one")
        ours = _pool(server, folder)
        say("the ssh binary: the same")
        theirs = _binary(server, folder)
    paced = HOSTS / PoolSettings().new_per_second
    notes = (
        f"ssh: the {HOSTS} hosts are ports of loopback with an sshd behind, client and server share the cores; warm means an open "
        "connection (for ssh a ControlMaster)",
        f"ssh: cold, the pool opens at most {PoolSettings().new_per_second:.0f} connections a second, so that it takes "
        f"{paced:.1f} s by its own wish",
    )
    facts = {"dtrove": ours, "ssh": theirs}
    return Outcome(tuple(_lines(ours, theirs)), notes=notes, facts=facts)


def _lines(ours: dict[str, Any], theirs: dict[str, Any]) -> list[Line]:
    def ms(values: list[float], percent: float) -> float:
        return 1000 * percentile(values, percent)

    one, plain, target = ours["one"], theirs["one"], at_most(LIMIT_MS, "ms")
    against = "ssh, ControlMaster"
    return [
        Line("a warm command on one host, p50", ms(one, 50), "ms", ms(plain, 50), against, target),
        Line("a warm command on one host, p95", ms(one, 95), "ms", ms(plain, 95), against),
        Line("the same with fence and time limit, p50", ms(ours["fenced"], 50), "ms", ms(plain, 50), against),
        Line(f"{HOSTS} hosts × 1 command, cold", median(ours["cold"]), "s", median(theirs["cold"]), "ssh"),
        Line(f"{HOSTS} hosts × 1 command, warm", median(ours["warm"]), "s", median(theirs["warm"]), against),
    ]


def _pool(server: Sshd, folder: Path) -> dict[str, Any]:
    asked = {
        "ports": server.ports, "user": server.user, "private_key": server.login.private, "root": str(folder / "root"),
        "known_host": server.host.public, "rounds": ROUNDS, "commands": COMMANDS,
    }  # fmt: skip
    command = [sys.executable, "-W", "ignore", "-m", "bench.pool"]
    done = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, cwd=ROOT, timeout=300, check=False
    )
    if done.returncode != 0:
        raise Broken(f"the pool ended with {done.returncode}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def _binary(server: Sshd, folder: Path) -> dict[str, Any]:
    cold = [_line(server, port) for port in server.ports]
    warm = [_line(server, port, folder / f"c{port}") for port in server.ports]
    answer: dict[str, Any] = {"cold": [_on_each(cold) for _ in range(ROUNDS)]}
    for line in warm:
        line.open_master()
    try:
        answer["warm"] = [_on_each(warm) for _ in range(ROUNDS)]
        answer["one"] = [_on_each(warm[:1]) for _ in range(COMMANDS)]
    finally:
        for line in warm:
            line.close_master()
    return answer


def _line(server: Sshd, port: int, control: Path | None = None) -> SshLine:
    return SshLine("127.0.0.1", port, server.user, server.login, server.host.public, control)


def _on_each(lines: list[SshLine]) -> float:
    """Seconds for `true` on each host, all at once."""
    began = time.monotonic()
    running = [subprocess.Popen(line.command("true"), stdin=subprocess.DEVNULL) for line in lines]
    codes = [process.wait() for process in running]
    if any(codes):
        raise Broken(f"the ssh binary ended with {codes}")
    return time.monotonic() - began
