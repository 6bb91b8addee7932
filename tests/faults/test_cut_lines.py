"""Row 3: a long job goes on whatever happens to the line, and whoever follows it hears every byte once."""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.datastore_agentless.hosts.base import Job, Result
from services.datastore_agentless.hosts.runner import HostRunner
from services.datastore_agentless.hosts.ssh import PoolSettings, SshPool
from services.datastore_agentless.hosts.transcript import Transcript
from shared.clock import SystemClock
from tests.component.hosts.driving import one
from tests.component.hosts.sshd import Sshd
from tests.faults.node import Node
from tests.support.faults import exactly
from tests.support.proxy import Proxy

pytestmark = [pytest.mark.slow, pytest.mark.fault(3), pytest.mark.timeout(3600)]
# One cut in so many is a black hole, which is noticed only by its silence.
HOLE_IN = 25
# Nothing limits how fast a cut line is tried again: these tests are about the bytes.
EAGER = PoolSettings(new_per_second=1000, breaker_failures=100_000, watch_seconds=0.1, connect_timeout=5.0)


class Impatient(SystemClock):
    """The system's time, with short pauses."""

    def sleep(self, seconds: float) -> None:
        super().sleep(min(seconds, 0.02))


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path / "sshd").start()
    yield server
    server.stop()


@dataclass
class Spoiler:
    """Cuts a job's line at random bytes, in random ways, until it was cut `wanted` times."""

    line: Proxy
    chance: random.Random
    wanted: int
    enough: Path
    struck: Counter[str] = field(default_factory=Counter)
    heard: list[str] = field(default_factory=list)
    _ordered: str = ""
    _cuts: int = 0

    def hear(self, _: str, text: str) -> None:
        """A piece of output."""
        self.heard.append(text)
        self.spoil()

    def spoil(self, *_: object) -> None:
        """Count a cut that has struck, and order the next one, or let the job end."""
        if self._ordered and not self._has_struck():
            return
        self.struck[self._ordered] += bool(self._ordered)
        if self.line.silent:
            # Its silence was noticed: the next attempt is to succeed.
            self.line.cut(reset=True)
            self.line.resume()
        self._cuts, self._ordered = self.line.cuts, ""
        if self.struck.total() >= self.wanted:
            self.enough.touch()
        elif self.chance.randrange(HOLE_IN) == 0:
            self._ordered = "black hole"
            self.line.silence_after(self.chance.randrange(1, 2_000))
        else:
            self._ordered = "reset" if self.chance.random() < 0.7 else "good-bye"
            self.line.cut_after(self.chance.randrange(1, 8_000), reset=self._ordered == "reset")

    def _has_struck(self) -> bool:
        return self.line.silent if self._ordered == "black hole" else self.line.cuts > self._cuts


def script(folder: Path) -> str:
    """A job that talks on until it is told to end, writes down what it said, and how often it was started."""
    return (f"echo x >> {folder}/count; while [ ! -f {folder}/enough ]; do "
            f"head -c 3000 /dev/urandom | base64 -w 99 | tee -a {folder}/log; sleep 0.04; done; exit 9")  # fmt: skip


def survives(sshd: Sshd, folder: Path, number: int, cuts: int) -> Counter[str]:
    """One job whose line is cut so often; which kinds of cuts there were."""
    folder = folder / f"job-{number}"
    folder.mkdir()
    line, pool = Proxy(sshd.port), SshPool(EAGER)
    spoiler = Spoiler(line, random.Random(f"{number}"), cuts, folder / "enough")
    driver = HostRunner(
        pool=pool, target=sshd.target(port=line.port), task_id=f"job-{number}", epoch=1, subject="node",
        transcript=Transcript("node-1"), root=f"{folder}/dtrove", memory=f"{folder}/memory", clock=Impatient(),
        on_output=spoiler.hear, on_progress=spoiler.spoil,
    )  # fmt: skip
    result: Result = driver.execute(one(Job("log", script(folder), ok_codes=(9,), timeout=3000)))
    log = (folder / "log").read_text()
    assert result.code == 9
    assert hashlib.sha256("".join(spoiler.heard).encode()).digest() == hashlib.sha256(log.encode()).digest()
    # Of a very long log the end is kept.
    assert result.stdout
    assert log.endswith(result.stdout)
    assert (folder / "count").read_text() == "x\n"
    pool.close()
    line.close()
    return +spoiler.struck


def test_every_cut_at_a_random_byte_is_survived_and_the_log_is_the_same_byte_for_byte(
    sshd: Sshd, tmp_path: Path, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    jobs, cuts = times(2, 8), times(50, 125)
    with ThreadPoolExecutor(jobs) as threads:
        kinds = sum(threads.map(lambda number: survives(sshd, tmp_path, number, cuts), range(jobs)), Counter())
    total = sum(kinds.values())
    assert total >= jobs * cuts
    assert {"reset", "black hole"} <= set(kinds)
    words = ", ".join(f"{count} × {kind}" for kind, count in sorted(kinds.items()))
    figure(
        3, f"cuts of SSH in {jobs} long jobs survived, logs byte-identical ({words})", total, total, "", exactly(total)
    )


@pytest.mark.real
def test_a_users_command_is_heard_once_and_whole_though_its_line_is_cut_all_the_time(
    lined: Node, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    cuts, chance = times(5, 40), random.Random(3)
    seconds = 2 * cuts
    command = (f"echo $$ >> /root/heard; n=0; while [ $n -lt {10 * seconds} ]; do "
               "echo line $n | tee -a /root/said; n=$((n+1)); sleep 0.1; done")  # fmt: skip
    lined.sh("rm -f /root/heard /root/said")
    operation = lined.perform(command)
    lined.runs(operation)
    assert lined.line is not None
    for _ in range(cuts):
        lined.line.cut_after(chance.randrange(1, 400), reset=chance.random() < 0.7)
        threading.Event().wait(chance.uniform(0.5, 1.5))
    (result,) = lined.performed(operation, 2 * seconds + 300)
    assert lined.sh("cat /root/heard").count("\n") == 0
    assert result["stdout"] == lined.sh("cat /root/said") + "\n"
    shown = (lined.stack.operation(operation) or {})["output"]
    assert (
        "".join(line.removeprefix("out: ") + "\n" for line in shown.splitlines() if line.startswith("out: line"))
        == (result["stdout"])
    )
    figure(3, "cuts of a user's command, heard once and whole", lined.line.cuts, lined.line.cuts)
