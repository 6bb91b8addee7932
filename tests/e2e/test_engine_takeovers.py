"""Three real nodes of an engine change places, driven script by script as the workflows do, while somebody writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg2
import pytest

from services.datastore_agentless.datastores.base import Topology, scripts
from services.datastore_agentless.datastores.base.manager import BaseManager
from services.datastore_agentless.datastores.base.topology import STREAMS
from services.datastore_agentless.domain.standing import Standing
from services.datastore_agentless.hosts.base import Script
from shared.secrets import Secret
from tests.component.hosts.real import RealHost, RealHosts, manager_of, real_hosts_of_their_own
from tests.support.clients import LoginRefused, Redis, Sql
from tests.support.installation import wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]

ENGINES = {"pgsql": "sync", "redis": "async"}


@dataclass
class Trio:
    """Three nodes of one engine, the first one the primary, and what tests do with them."""

    name: str
    hosts: list[RealHost]
    manager: BaseManager = field(init=False)

    def __post_init__(self) -> None:
        self.manager = manager_of(self.name)

    @property
    def topology(self) -> Topology:
        assert self.manager.topology is not None
        return self.manager.topology

    def make(self) -> None:
        """Make each alone, then one cluster of them."""
        for host in self.hosts:
            host.node.replication_password = Secret("r'e:p\\l ication")
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda host: host.make(self.manager), self.hosts))
        first, *others = self.hosts
        for other in others:
            self.join(other, first)
        self.protect(first)

    def run(self, host: RealHost, script: Script) -> Any:
        """Run a script as a task of its own."""
        return host.driver().execute(script)

    def standing(self, host: RealHost, primary: RealHost) -> Standing:
        found = self.run(host, self.topology.standing(host.node, primary.node))
        assert isinstance(found, Standing)
        return found

    def join(self, host: RealHost, primary: RealHost) -> None:
        self.run(primary, self.topology.admit(primary.node, host.node))
        self.run(host, self.topology.join(host.node, primary.node, primary.node))
        self.sees_following(host, primary)

    def sees_following(self, host: RealHost, primary: RealHost) -> None:
        wait_for(lambda: self._follows(host, primary), 60, 0.2, f"{host.node.name} following {primary.node.name}")

    def _follows(self, host: RealHost, primary: RealHost) -> bool:
        if self.run(host, self.topology.following(host.node, primary.node)) != STREAMS:
            return False
        there = self.standing(host, primary)
        assert (there.writable, there.follows) == (False, primary.node.addr)
        return there.streams

    def protect(self, primary: RealHost) -> None:
        others = [host.node for host in self.hosts if host is not primary]
        self.run(primary, self.topology.protect(primary.node, others, ENGINES[self.name]))

    def lead_on(self, chosen: RealHost, *others: RealHost) -> None:
        """Promote one, have the others follow it, and wait for them again."""
        self.run(chosen, self.topology.promote(chosen.node))
        for other in others:
            self.run(chosen, self.topology.admit(chosen.node, other.node))

    def switch(self, former: RealHost, chosen: RealHost, third: RealHost) -> None:
        """The order of a switchover."""
        frozen = self.run(former, self.topology.freeze(former.node))
        assert not frozen.writable
        wait_for(lambda: self.standing(chosen, former).received >= frozen.received, 20, 0.05, "all on the replica")
        self.lead_on(chosen, former, third)
        self.run(former, self.topology.demote(former.node, chosen.node))
        self.run(third, self.topology.follow(third.node, chosen.node))
        for other in (former, third):
            self.sees_following(other, chosen)
        self.protect(chosen)

    def kill(self, host: RealHost) -> None:
        """kill -9 of all of its processes, as if the power went."""
        process = self.manager.process
        host.sh(f"{scripts.RUNNING}kill -9 $(pids {process}); while running {process}; do sleep 0.05; done")

    # What a user sees

    def url(self, host: RealHost) -> str:
        return self.manager.url(host.node.addr, self.manager.port, host.node.admin_user)

    def write(self, host: RealHost, word: str) -> bool:
        """Whether a write was acknowledged. Raises what the driver does where nobody answers."""
        if self.name == "redis":
            redis = Redis(self.url(host), host.node.admin_password.reveal())
            try:
                return redis.ask("SADD", "words", word) == "1"
            finally:
                redis.close()
        sql = Sql(self.url(host), host.node.admin_password.reveal())
        try:
            sql.rows("create table if not exists words (word text)")
            sql.rows(f"insert into words values ('{word}')")
        except psycopg2.Error:
            return False
        finally:
            sql.close()
        return True

    def words(self, host: RealHost) -> set[str]:
        """All that is there."""
        if self.name == "pgsql":
            sql = Sql(self.url(host), host.node.admin_password.reveal())
            found = {row[0] for row in sql.rows("select word from words")}
            sql.close()
            return found
        listing = host.sh(
            f"redis-cli --user dtrove --pass '{_shell(host)}' --no-auth-warning -h {host.node.addr} smembers words"
        )
        return set(listing.splitlines())

    @contextmanager
    def writing(self) -> Iterator[Callable[[], set[str]]]:
        """Somebody writes wherever writes are taken; gives what was acknowledged so far."""
        acknowledged: set[str] = set()
        end = threading.Event()

        def work() -> None:
            number = 0
            while not end.is_set():
                for host in self.hosts:
                    number += 1
                    try:
                        if self.write(host, f"w{number}"):
                            acknowledged.add(f"w{number}")
                    except (OSError, LoginRefused, ConnectionError, ValueError):
                        continue

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield lambda: set(acknowledged)
        finally:
            end.set()
            thread.join(90)


def _shell(host: RealHost) -> str:
    return host.node.admin_password.reveal().replace("'", "'\\''")


@pytest.fixture(scope="module")
def real_hosts() -> Iterator[RealHosts]:
    with real_hosts_of_their_own() as made:
        yield made


@pytest.fixture(scope="module", params=ENGINES)
def trio(real_hosts: RealHosts, request: pytest.FixtureRequest) -> Trio:
    made = Trio(request.param, [real_hosts.make() for _ in range(3)])
    made.make()
    return made


def more_than(acknowledged: Callable[[], set[str]], count: int) -> None:
    """Wait until so many more writes were acknowledged."""
    least = len(acknowledged()) + count
    wait_for(lambda: len(acknowledged()) >= least, 60, 0.1, f"{count} more acknowledged writes")


def have_all(trio: Trio, words: set[str]) -> None:
    """All nodes have all of these."""
    assert words
    for host in trio.hosts:
        has = partial(_has, trio, host, words)
        wait_for(has, 20, 0.2, f"all words on {host.node.name}")


def _has(trio: Trio, host: RealHost, words: set[str]) -> bool:
    return words <= trio.words(host)


def test_a_frozen_primary_takes_no_writes_after_a_restart_and_takes_them_again_once_it_is_thawed(trio: Trio) -> None:
    first, *others = trio.hosts
    assert trio.write(first, "before")
    for _ in range(2):  # as after a crash
        frozen = trio.run(first, trio.topology.freeze(first.node))
        assert not frozen.writable
    trio.run(first, trio.manager.restart())
    assert not trio.standing(first, first).writable
    assert not trio.write(first, "meanwhile")
    for _ in range(2):
        trio.run(first, trio.topology.thaw(first.node))
    for other in others:
        trio.sees_following(other, first)
    assert trio.standing(first, first).writable
    assert trio.write(first, "after")
    trio.run(first, trio.manager.restart())
    assert trio.standing(first, first).writable
    for other in others:
        trio.sees_following(other, first)
    have_all(trio, {"before", "after"})
    assert "meanwhile" not in trio.words(first)


def test_the_nodes_change_places_while_somebody_writes_and_nothing_acknowledged_is_lost(trio: Trio) -> None:
    first, second, third = trio.hosts
    with trio.writing() as acknowledged:
        more_than(acknowledged, 10)
        trio.switch(first, second, third)
        more_than(acknowledged, 10)
        trio.switch(second, first, third)
        more_than(acknowledged, 10)
        trio.switch(first, second, third)
        more_than(acknowledged, 10)
    have_all(trio, acknowledged())
    assert [trio.standing(host, second).writable for host in trio.hosts] == [False, True, False]
    if trio.name == "pgsql":
        sql = Sql(trio.url(second), second.node.admin_password.reveal())
        assert sql.rows("select sync_state from pg_stat_replication") == [("quorum",), ("quorum",)]
        assert sql.rows("select count(*) from pg_replication_slots where active") == [(2,)]
        sql.close()
        for host in (first, third):
            assert host.sh("ls /var/lib/dtrove-data/pgsql/pg_replslot") == "", "it keeps its log for nobody"
    else:
        redis = Redis(trio.url(second), second.node.admin_password.reveal())
        stats = dict(line.split(":", 1) for line in redis.ask("INFO", "stats").splitlines() if ":" in line)
        assert (stats["sync_full"], int(stats["sync_partial_ok"]) >= 2) == ("0", True), "nobody copied all anew"
        redis.close()


def test_a_replica_takes_the_place_of_a_dead_primary_which_comes_back_with_the_new_one_s_data(trio: Trio) -> None:
    first, second, third = trio.hosts
    with trio.writing() as acknowledged:
        more_than(acknowledged, 10)
        if trio.name == "pgsql":
            trio.kill(second)
    kept = acknowledged()
    if trio.name == "redis":
        # It acknowledges before anybody has it.
        have_all(trio, kept)
        trio.kill(second)
    wait_for(lambda: not trio.standing(first, second).streams, 20, 0.2, "a replica noticing")
    chosen, other = sorted((first, third), key=lambda host: trio.standing(host, second).received, reverse=True)
    trio.lead_on(chosen, other)
    trio.run(other, trio.topology.follow(other.node, chosen.node))
    trio.sees_following(other, chosen)
    trio.run(chosen, trio.topology.protect(chosen.node, [other.node], ENGINES[trio.name]))
    assert trio.write(chosen, "without it")

    # The dead one was up for a moment, and went a way of its own.
    trio.run(second, trio.manager.start())
    part(trio, second)
    for _ in range(2):
        trio.run(second, trio.topology.reset(second.node))
    trio.run(second, trio.manager.start())
    assert not trio.standing(second, second).writable
    trio.run(second, trio.topology.reset(second.node))
    trio.join(second, chosen)
    trio.protect(chosen)
    assert trio.write(chosen, "with it")
    have_all(trio, kept | {"without it", "with it"})
    assert all("parted" not in trio.words(host) for host in trio.hosts)


def part(trio: Trio, host: RealHost) -> None:
    """A write that nobody else has."""
    if trio.name == "redis":
        assert trio.write(host, "parted")
    else:
        alone = "set synchronous_commit = local; insert into words values ('parted')"
        host.sh(f'su -s /bin/sh postgres -c "psql -qXc \\"{alone}\\""')
    assert "parted" in trio.words(host)
