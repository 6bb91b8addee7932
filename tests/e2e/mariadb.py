"""Nodes of MariaDB on real hosts, driven script by script as the workflows do, and a client that writes meanwhile."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pymysql

from services.datastore_agentless.datastores.base.topology import STREAMS, SYNC
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.datastores.mysql.topology import GtidReplication
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.standing import Standing
from services.datastore_agentless.hosts.base import Script
from tests.component.hosts.real import PASSWORD, RealHost
from tests.support.installation import wait_for


@dataclass
class Cluster:
    """Three nodes by name, and who of them takes writes."""

    manager: MySQLManager
    hosts: dict[str, RealHost]
    primary: Instance
    took: dict[str, float] = field(default_factory=dict)

    @property
    def topology(self) -> GtidReplication:
        assert self.manager.topology is not None
        return self.manager.topology

    @property
    def others(self) -> list[Instance]:
        return [host.node for name, host in self.hosts.items() if name != self.primary.name]

    def run(self, node: Instance, script: Script) -> Any:
        """Run a script on a node, as a task of its own."""
        return self.hosts[node.name].driver().execute(script)

    def timed(self, what: str, node: Instance, script: Script) -> Any:
        began = time.monotonic()
        answer = self.run(node, script)
        self.took[what] = round(time.monotonic() - began, 3)
        return answer

    def twice(self, node: Instance, script: Callable[[], Script]) -> None:
        """As after a crash at its end: what is done already does not fail."""
        self.run(node, script())
        self.run(node, script())

    def standing(self, node: Instance) -> Standing:
        answer = self.run(node, self.topology.standing(node, self.primary))
        assert isinstance(answer, Standing)
        return answer

    def join(self, replica: Instance) -> None:
        """What `join_node` does, without the copy."""
        self.run(self.primary, self.manager.at_boot(starts=False))
        self.run(self.primary, self.topology.admit(self.primary, replica))
        self.run(replica, self.manager.at_boot(starts=False))
        self.twice(replica, lambda: self.topology.join(replica, self.primary, self.primary))
        self.sees(replica)

    def sees(self, replica: Instance) -> None:
        """Wait until a replica follows."""
        follows = lambda: self.run(replica, self.topology.following(replica, self.primary)) == STREAMS  # noqa: E731
        wait_for(follows, 30, 0.1, f"{replica.name} following {self.primary.name}")

    def copy(self, replica: Instance) -> None:
        """Have a replica take the primary's data."""
        copying = self.topology.copying
        public_key = self.run(replica, copying.ask(replica))
        self.run(self.primary, copying.lend(self.primary, replica, public_key))
        self.run(replica, copying.take(replica, self.primary, self.primary))
        self.run(self.primary, copying.end(self.primary, replica))

    def protect(self) -> None:
        self.run(self.primary, self.topology.protect(self.primary, self.others, SYNC))

    def promote(self, chosen: Instance) -> None:
        self.timed("promote", chosen, self.topology.promote(chosen))
        self.run(chosen, self.topology.promote(chosen))

    def rows(self, node: Instance) -> set[int]:
        with login(node) as connection, connection.cursor() as cursor:
            cursor.execute("select id from shop.fruit")
            return {row[0] for row in cursor.fetchall()}

    def wait_for_rows(self, node: Instance, acknowledged: set[int]) -> None:
        wait_for(lambda: acknowledged <= self.rows(node), 30, 0.2, f"every acknowledged row on {node.name}")


def login(node: Instance, patience: float = 5, user: str = "dtrove") -> Any:
    """A connection; a statement that takes longer than `patience` seconds fails."""
    return pymysql.connect(host=node.addr, user=user, password=PASSWORD, connect_timeout=2, read_timeout=patience,
                           autocommit=True)  # fmt: skip


class Client:
    """Writes rows at whoever is the primary, and remembers which were acknowledged, and when."""

    def __init__(self, cluster: Cluster, first: int) -> None:
        self.cluster = cluster
        self.acknowledged: dict[int, float] = {}
        self._next = first
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Client:
        self._thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def goes_on(self) -> None:
        """Wait until more rows are acknowledged."""
        wanted = len(self.acknowledged) + 20
        wait_for(lambda: len(self.acknowledged) >= wanted, 30, 0.05, "twenty rows more")

    @property
    def gap(self) -> float:
        """The longest time between two acknowledged rows, in seconds."""
        times = sorted(self.acknowledged.values())
        return max(after - before for before, after in itertools.pairwise(times))

    def _write(self) -> None:
        while not self._ended.is_set():
            try:
                with login(self.cluster.primary) as connection, connection.cursor() as cursor:
                    while not self._ended.is_set():
                        self._next += 1
                        cursor.execute("insert into shop.fruit values (%s)", (self._next,))
                        self.acknowledged[self._next] = time.monotonic()
            except pymysql.MySQLError:
                self._ended.wait(0.05)
