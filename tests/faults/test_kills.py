"""Row 1: whatever process is killed in the middle of whatever step, another one goes on, and there is no second server."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from bench.figures import at_most, percentile
from shared.engine import LEASE_SECONDS
from tests.faults.stack import Held, Stack
from tests.faults.traffic import Traffic
from tests.support.faults import exactly
from tests.support.installation import wait_for

pytestmark = [pytest.mark.rabbit, pytest.mark.slow, pytest.mark.fault(1), pytest.mark.timeout(3600)]
RESUME_SECONDS = 20.0
# A step whose worker dies ten times in a row counts as what kills it: so much bad luck is not what these kills are about.
ENOUGH_CLAIMS = 3
# How the kills are shared out: mostly to those that work in steps.
SHARES = {
    "provisioner": 4,
    "provisioner-2": 4,
    "datastore_agentless": 4,
    "datastore_agentless-2": 4,
    "api": 2,
    "scheduler": 1,
}


@dataclass
class Killer:
    """Kills one process again and again, each time in the middle of something, and starts it anew."""

    stack: Stack
    name: str
    chance: random.Random
    waited: list[float] = field(default_factory=list)
    steps: Counter[str] = field(default_factory=Counter)

    def kill(self) -> None:
        """Once; how long it took until all that it held was in other hands, or until it served again, is kept."""
        works = self.name.startswith(("provisioner", "datastore"))
        pid, begun = self.stack.pid(self.name), self._begun()
        if works:
            wait_for(lambda: self._is_in_the_middle(pid), 300, 0.02, f"work for {self.name}")
        threading.Event().wait(self.chance.uniform(0, 0.3))
        self.stack.kill(self.name)
        began = time.monotonic()
        held = self.stack.held_by(self.name, pid) if works else []
        self.steps.update(one.step or "its first" for one in held)
        self.stack.start(self.name)
        if works:
            wait_for(lambda: not self._still(pid, held), 120, 0.05, f"another process that goes on with {held}")
        else:
            wait_for(self.stack.ready, 120, 0.05, f"{self.name} again")
        if held or not works:
            self.waited.append(time.monotonic() - began)
        # The next one is to find a process that lives.
        wait_for(lambda: self._begun() > begun, 120, 0.1, f"{self.name} again")

    def _is_in_the_middle(self, pid: int) -> bool:
        """Whether it works, on nothing that was struck too often already."""
        held = self.stack.held_by(self.name, pid)
        return bool(held) and all(one.claims <= ENOUGH_CLAIMS for one in held)

    def _still(self, pid: int, held: list[Held]) -> bool:
        return bool(set(held) & set(self.stack.held_by(self.name, pid)))

    def _begun(self) -> int:
        """How often the process has come so far that it works."""
        return (self.stack.home / "logs" / f"{self.name}.log").read_text(errors="replace").count(' runs", ')


def test_killed_processes_are_replaced_in_every_step_and_make_no_second_server(
    sim: Stack, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    total = times(6, 190)
    killers = [Killer(sim, name, random.Random(name)) for name in SHARES]
    turns = {name: max(1, round(total * share / sum(SHARES.values()))) for name, share in SHARES.items()}

    def work(killer: Killer) -> None:
        for _ in range(turns[killer.name]):
            killer.kill()

    with Traffic(sim, clients=8).flowing() as traffic, ThreadPoolExecutor(len(killers)) as threads:
        list(threads.map(work, killers))
    traffic.nothing_is_left()
    kills, waited = sum(turns.values()), [one for killer in killers for one in killer.waited]
    steps = sum((killer.steps for killer in killers), Counter())
    assert len(waited) >= kills / 2
    # So few as a short run makes may all strike the same one.
    assert len(steps) >= (2 if len(waited) > 20 else 1), steps
    words = f"kills, resumed after at most ({len(steps)} kinds of step struck)"
    figure(1, words, kills, max(waited), "s", at_most(LEASE_SECONDS + 5, "s"))
    figure(1, "kills, resumed after, p95", kills, percentile(waited, 95), "s", at_most(RESUME_SECONDS, "s"))
    figure(1, "kills, second servers", kills, 0, "", exactly(0))
    figure(1, "clusters served and deleted meanwhile", traffic.served, traffic.served)
