"""The accidents of one run: each place that can fail asks here, and the seed answers."""

from __future__ import annotations

import random
from collections import Counter

from shared.errors import Unavailable
from tests.simulation.broker import Binding
from tests.simulation.chance import Plan
from tests.simulation.storage import SimDatabase
from tests.simulation.virtual import Hub, Process

CLOUD_FAULTS = ("busy", "429", "500", "late")
CREATE_FAULTS = (*CLOUD_FAULTS, "hidden")
FINAL_FAULTS = ("error", "quota", "image", "refused")
# Processes and databases can fail at nearly every line, the others at some.
HOST_WEIGHT = 5.0
WEIGHTS = {"kill": 0.6, "stop": 0.3, "database": 0.2, "unknown": 1.0}
# An outage that no operation may fail for lasts at most a minute.
SHORTEST, LONGEST = 0.5, 50.0


class Weather:
    """Strikes where the plan allows. `struck` counts by kind; `trace` tells what happened when, for a replay to agree."""

    def __init__(self, hub: Hub, plan: Plan, chance: random.Random) -> None:
        self.hub, self.plan, self._chance = hub, plan, chance
        self.struck: Counter[str] = Counter()
        self.trace: list[str] = []
        # Once over, nothing strikes any more, and what was away comes back.
        self.over = False
        self.final_faults = 0
        # Whether a server may be there that its build knows nothing of: until the reconciler comes by.
        self.stray_servers = False
        self._left = plan.budget
        self._odds = {kind: plan.odds * WEIGHTS.get(kind, 3.0) for kind in plan.kinds}
        self._away: dict[str, float] = {}
        self._troubled: dict[str, float] = {}

    def note(self, words: str) -> None:
        """Write a line into the trace."""
        process = self.hub.running.process.name if self.hub.running else "-"
        self.trace.append(f"{self.hub.now:9.3f} {process:14} {words}")

    def troubled(self, process: Process, service: str, seconds: float) -> bool:
        """Whether a process stood still, or its service's database was away, less than so many seconds ago."""
        last = max(self._troubled.get(process.name, -1e9), self._troubled.get(service, -1e9))
        return self.hub.now - last < seconds

    def clear(self) -> None:
        """No more faults."""
        self.over = True
        self._away.clear()

    # Databases

    def before_use(self, database: SimDatabase, what: str) -> None:
        self.hub.check()
        self._linger()
        self._process_strikes()
        self._begin_outage("database", database.service)
        if self._is_away(database.service):
            self._troubled[database.service] = self.hub.now
            raise Unavailable("the database does not answer")

    def before_commit(self, database: SimDatabase) -> None:
        self.hub.check()
        thread = self.hub.running
        # Only an end: nobody may stand still here, for SQLite lets one writer in at a time.
        if thread is not None and thread.process.name != "user" and self._strikes("kill"):
            self.hub.kill(thread.process)

    def after_commit(self, database: SimDatabase) -> None:
        self.hub.check()
        self._process_strikes()
        if self._strikes("unknown"):
            self._troubled[database.service] = self.hub.now
            raise Unavailable("the database does not answer: nobody knows whether that was stored")

    # Messages

    def at_publish(self, topic: str) -> str:
        self.hub.check()
        self._process_strikes()
        self._begin_outage("broker", "broker")
        return "away" if self._is_away("broker") else ""

    def after_publish(self) -> str:
        self.hub.check()
        self._process_strikes()
        return "unconfirmed" if self._strikes("unconfirmed") else ""

    def on_the_way(self, binding: Binding) -> str:
        if binding.topic == "operation.progressed":
            return ""
        return next((kind for kind in ("double", "late", "lost") if self._strikes(kind)), "")

    def at_rpc(self) -> bool:
        """Whether an answer is lost."""
        self._process_strikes()
        return self._strikes("rpc")

    # The cloud

    def at_cloud(self, call: str) -> str:
        self.hub.check()
        self._linger()
        self._process_strikes()
        thread = self.hub.running
        # Its task may be another's by now, and no look at the database helps against a stop after it.
        self.stray_servers |= call == "create" and thread is not None and self.troubled(thread.process, "", 1.0)
        if not self._strikes("cloud"):
            return ""
        if call == "create" and self._chance.random() < 0.25:
            self.final_faults += 1
            return self._chance.choice(FINAL_FAULTS)
        fault = self._chance.choice(CREATE_FAULTS if call == "create" else CLOUD_FAULTS)
        self.stray_servers |= fault == "hidden"
        return fault

    def after_cloud(self, call: str) -> None:
        self.hub.check()
        self._process_strikes()

    # The store of backups

    def at_store(self, what: str) -> bool:
        """Whether it answers, before and after it does something."""
        self.hub.check()
        self.note(f"store: {what}")
        self._process_strikes(HOST_WEIGHT)
        self._begin_outage("away", "store")
        return not self._is_away("store")

    # Hosts

    def at_host(self, addr: str, what: str) -> str:
        self.hub.check()
        self.note(f"{addr} {what}")
        self._process_strikes(HOST_WEIGHT)
        self._begin_outage("away", addr)
        if self._is_away(addr) or self._strikes("cut"):
            return "cut"
        return "reboot" if self._strikes("reboot") else ""

    def after_host(self, addr: str) -> str:
        self.hub.check()
        self._process_strikes(HOST_WEIGHT)
        return "cut" if self._strikes("cut") else ""

    def at_line(self) -> None:
        """A place between two lines where a process may end."""
        self.hub.check()
        self._process_strikes()

    def _linger(self) -> None:
        """Let others in between, now and then: a look at a clock that stands still would order everything."""
        if self._chance.random() < 0.1:
            self.hub.sleep(self._chance.expovariate(1 / 0.01))

    def _strikes(self, kind: str, weight: float = 1.0) -> bool:
        if self.over or kind not in self._odds or self._left <= 0:
            return False
        if self._chance.random() >= weight * self._odds[kind]:
            return False
        self.struck[kind] += 1
        self._left -= 1
        self.note(f"** {kind}")
        return True

    def _process_strikes(self, weight: float = 1.0) -> None:
        thread = self.hub.running
        if self.over or self._left <= 0 or thread is None or thread.process.name == "user":
            return
        if self._strikes("kill", weight):
            self.hub.kill(thread.process)
        if self._strikes("stop", weight):
            thread.process.stopped_until = self.hub.now + self._chance.uniform(5.0, 60.0)
            self._troubled[thread.process.name] = thread.process.stopped_until
            self.hub.sleep(0.0)

    def _begin_outage(self, kind: str, what: str) -> None:
        if self._strikes(kind):
            self._away[what] = self.hub.now + self._chance.uniform(SHORTEST, LONGEST)

    def _is_away(self, what: str) -> bool:
        return self._away.get(what, 0.0) > self.hub.now
