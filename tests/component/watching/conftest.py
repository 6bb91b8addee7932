"""datastore_agentless's database with clusters that serve, and looks that are told what they see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.health import Judgement, Verdict
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.store import catalogue, clusters, tables
from services.datastore_agentless.store.watches import Watched
from services.datastore_agentless.watching import Hands, Pace, Watch
from shared.clock import ManualClock
from shared.db import Database, Sealed
from shared.secrets import Keyring, new_key
from tests.support.held import HeldClock

WAIT_SECONDS = 20.0


@dataclass
class Looks:
    """What is seen of each node, well where nothing is said; who has looked at what, and how many at the same time."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)
    at_once: dict[str, int] = field(default_factory=dict)
    most_at_once: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()
        self._lock = threading.Lock()

    def look(self, watched: Watched, hands: Hands) -> Mapping[str, Judgement]:
        """Look at all nodes, once the gate is open."""
        name = watched.cluster.id
        with self._lock:
            self.at_once[name] = self.at_once.get(name, 0) + 1
            self.most_at_once = max(self.most_at_once, self.at_once[name])
            self.looked.append(name)
        assert self.gate.wait(WAIT_SECONDS)
        with self._lock:
            self.at_once[name] -= 1
        return {one.id: self._of(one.id) for one in watched.nodes}

    def _of(self, node: str) -> Judgement:
        verdict = self.verdicts.get(node, Verdict.OK)
        return Judgement(verdict, f"{node} is {verdict}", {"ssh": "told"}, {"load": 0.5, "position": None})


@pytest.fixture
def clock() -> ManualClock:
    return HeldClock()


@pytest.fixture
def database(with_tables: Callable[[str], str], clock: ManualClock) -> Iterator[Database]:
    Sealed.keyring = Keyring((new_key(),))
    made = Database(with_tables("datastore_agentless"), "datastore_agentless", tables.metadata, clock)
    with made.write() as tx:
        catalogue.put(tx, Datastore("d", "redis", "redis", "7.0", "debian-12", ["redis-server"]))
    yield made
    made.engine.dispose()


@pytest.fixture
def looks() -> Looks:
    return Looks()


def serve(database: Database, *names: str, nodes: int = 1, status: ClusterStatus = ClusterStatus.ACTIVE) -> None:
    """Clusters with ready nodes, as `c-0`, `c-1`."""
    with database.write() as tx:
        for name in names:
            clusters.add_cluster(
                tx, Cluster(name, "p", "o", name, "d", nodes, 512, 1, mode="async", primary_id=f"{name}-0", status=status)
            )  # fmt: skip
            for number in range(nodes):
                clusters.add_instance(
                    tx, Instance(f"{name}-{number}", name, f"{name}-{number}", addr=f"{name}-{number}.invalid", status=Status.READY)
                )  # fmt: skip


def watch(database: Database, looks: Looks, worker: str = "w1", **options: Any) -> Watch:
    return Watch(database, looks.look, Pace(**options.pop("pace", {})), worker=worker, **options)


def eventually(true: Callable[[], bool]) -> None:
    """Wait, by the machine's own clock, until something that threads do has come about."""
    pause = threading.Event()
    for _ in range(int(WAIT_SECONDS / 0.005)):
        if true():
            return
        pause.wait(0.005)
    raise AssertionError("it did not come about")


def turn(one: Watch, clock: ManualClock, seconds: float = 0.0) -> None:
    """Let time pass, then one whole look at all that is due."""
    clock.advance(seconds)
    one.tick()
    eventually(lambda: len(one._seen) == one.busy)
    one.flush()
