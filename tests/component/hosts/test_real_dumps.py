"""Data that leave one real host as a stream, and come to another, for each engine: whole, once, and with everybody's login."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import uuid4

import pytest

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.dumping import RESTORED, Dumping
from services.datastore_agentless.datastores.base.topology import STREAMS
from services.datastore_agentless.hosts.base import CommandFailed, Job, Run, Script, quote
from services.datastore_agentless.hosts.jobs import JobFolder
from services.provisioner.providers.local.host import PACKAGES_DIR
from shared.secrets import Secret
from tests.component.hosts import lifelike
from tests.component.hosts.outside import ASK, REFUSALS
from tests.component.hosts.real import DATASTORES, PASSWORD, RealHost, RealHosts, manager_of
from tests.support.installation import wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]
OTHER_PASSWORD = "the-other-cluster-s-4711"
# What prints a stream, or keeps watch for it.
SENDERS = "pg_basebackup psql mariadb-backup redis-cli tar zstd"
# What somebody may ask who is not DTrove.
MAY_ASK = {
    "pgsql": "show server_version",
    "mysql": "select name from shop.customers where id = 7",
    "redis": "GET shop:7",
}


@dataclass
class Pair:
    """A server with data, another one, and a file that both hosts see."""

    manager: BaseManager
    source: RealHost
    target: RealHost
    file: str

    @property
    def dumping(self) -> Dumping:
        assert self.manager.dumping is not None
        return self.manager.dumping

    def pipeline(self, host: RealHost) -> str:
        """What sends, between a login on standard input and a file, as a backup does."""
        sends = f"set -euo pipefail\nIFS= read -r login || true\n{{\n{self.dumping.sends(host.node)}}} | zstd -q > {self.file}\n"
        return f"exec bash -c {quote(sends)}"

    def send(self, host: RealHost) -> None:
        host.driver().execute(self._sent(host))

    def receive(self, host: RealHost, before: str = "cat") -> None:
        receives = f"set -euo pipefail\n{before} {self.file} | zstd -dq | {{\n{self.dumping.receives(host.node)}}}\n"
        host.driver().execute(_job("receive", f"exec bash -c {quote(receives)}"))

    def restore(self) -> None:
        """All of it, as a restore does."""
        self.receive(self.target)
        node = self.target.node
        for script in (self.dumping.take_over(node), self.manager.secure(node), self.manager.verify(node)):
            self.target.driver().execute(script)

    def all_of(self, host: RealHost) -> str:
        return lifelike.all_of(host, self.manager)

    def ask(self, host: RealHost, user: str, words: str, question: str = "") -> str:
        more = {"question": question} if question else {}
        return ASK[self.manager.name](host.node.addr, user, words, **more)

    def _sent(self, host: RealHost) -> Script:
        yield from self.dumping.ready(host.node)
        yield from _job("send", self.pipeline(host), self.dumping.login(host.node))


def _job(name: str, script: str, stdin: Secret | None = None) -> Script:
    yield Job(name, script, title=name, stdin=stdin, timeout=300)


@pytest.fixture(scope="module", params=list(DATASTORES))
def pair(request: pytest.FixtureRequest, real_hosts: RealHosts) -> Iterator[Pair]:
    file = f"{PACKAGES_DIR}/{uuid4().hex}.stream"
    made = Pair(manager_of(request.param), real_hosts.make(), real_hosts.make(), file)
    for host, words in ((made.source, PASSWORD), (made.target, OTHER_PASSWORD)):
        host.node = replace(host.node, admin_password=Secret(words), replication_password=Secret(f"{words[::-1]}"))
        host.make(made.manager)
    lifelike.load(made.source, made.manager)
    yield made
    made.source.sh(f"rm -f {file}")
    for host in (made.source, made.target):
        host.container.remove(force=True)


def test_data_come_to_another_host_whole_with_all_logins_but_dtrove_s_own(pair: Pair) -> None:
    before = pair.source.driver().execute(pair.dumping.mark(pair.source.node))
    most = pair.source.driver().execute(pair.dumping.size(pair.source.node))
    pair.send(pair.source)
    after = pair.source.driver().execute(pair.dumping.mark(pair.source.node))
    assert before.engine == after.engine
    assert before.at < after.at
    assert int(pair.source.sh(f"zstd -dqc {pair.file} | wc -c")) <= most
    pair.restore()
    assert pair.all_of(pair.target) == pair.all_of(pair.source)
    assert pair.manager.datastore.version in pair.ask(pair.target, "dtrove", OTHER_PASSWORD)
    with pytest.raises(REFUSALS):
        pair.ask(pair.target, "dtrove", PASSWORD)
    question = MAY_ASK[pair.manager.name]
    assert pair.ask(pair.target, lifelike.USER, lifelike.WORDS, question)
    with pytest.raises(REFUSALS):
        pair.ask(pair.target, lifelike.USER, "wrong", question)


def test_what_was_taken_over_is_not_taken_over_again_nor_restarted(pair: Pair) -> None:
    before = pair.target.processes(pair.manager.process)
    pair.target.driver().execute(pair.dumping.take_over(pair.target.node))
    assert pair.target.processes(pair.manager.process) == before
    data = pair.manager.data_path(pair.target.node)
    assert pair.target.sh(f"ls -d {data}*") == data, "neither the old data nor a copy of the new ones lie about"


def test_restored_data_are_there_after_a_restart(pair: Pair) -> None:
    pair.target.driver().execute(pair.manager.restart())
    wait_for(lambda: pair.all_of(pair.target) == pair.all_of(pair.source), 60, what="the restored data")


def test_a_stream_that_breaks_off_makes_no_data_and_what_serves_goes_on(pair: Pair) -> None:
    before, data = pair.target.processes(pair.manager.process), pair.manager.data_path(pair.target.node)
    pair.target.sh(f"rm -f {data}/{RESTORED}")
    for less in (10, 100_000):
        with pytest.raises(CommandFailed):
            pair.receive(pair.target, before=f"head -c -{less}")
        assert pair.target.sh(f"[ -e {data}.restored ] || echo none") == "none"
    with pytest.raises(CommandFailed, match="see what was restored"):
        pair.target.driver().execute(pair.dumping.take_over(pair.target.node))
    assert pair.target.processes(pair.manager.process) == before
    assert pair.all_of(pair.target) == pair.all_of(pair.source)


def test_a_dump_that_is_ended_half_way_leaves_nothing_behind(pair: Pair) -> None:
    host, data = pair.source, pair.manager.data_path(pair.source.node)
    lying_about = f"cd {data} && ls -d ../* /tmp/* | grep -v stream"
    before = host.sh(lying_about)
    driver = host.driver()
    folder = JobFolder(f"{driver.task_id}-stuck", driver.root, driver.memory)
    stuck = pair.pipeline(host).replace(f"zstd -q > {pair.file}", "{ head -c 100000 > /run/half; sleep 600; }")
    login = pair.dumping.login(host.node).reveal().encode()

    def started() -> Script:
        yield Run(folder.start(stuck, len(login)), stdin=Secret(login.decode()), title="begin")

    driver.execute(started())
    wait_for(lambda: host.sh("stat -c %s /run/half 2>/dev/null") == "100000", 60, what="half of a dump")
    assert "yes" in host.sh(_alive())
    driver.remote(folder.stop())
    wait_for(lambda: host.sh(_alive()) == "", 20, what="the end of all that sends")
    assert host.sh(lying_about) == before
    if pair.manager.name == "pgsql":
        slots = "select count(*) from pg_replication_slots"
        wait_for(lambda: pair.ask(host, "dtrove", PASSWORD, slots) == "0", 20, what="the end of the slot")
    pair.send(host)


def test_a_replica_s_dump_is_as_good_and_whoever_takes_it_over_is_no_replica(pair: Pair) -> None:
    """The replica itself: what made it one has to go."""
    replicate(pair.manager, pair.source, pair.target)
    wait_for(lambda: pair.all_of(pair.target) == pair.all_of(pair.source), 60, what="the primary's data at its replica")
    before = pair.all_of(pair.source)
    pair.send(pair.target)
    pair.restore()
    assert pair.all_of(pair.target) == before
    topology = pair.manager.topology
    assert topology is not None
    now = pair.target.driver().execute(topology.standing(pair.target.node, pair.target.node))
    assert now.writable
    assert not now.follows
    more = {
        "pgsql": "create table more as select 1 as n",
        "mysql": "create table shop.more as select 1 as n",
        "redis": "SET more 1",
    }
    pair.ask(pair.target, "dtrove", PASSWORD, more[pair.manager.name])


def test_a_replica_of_restored_data_copies_them(pair: Pair) -> None:
    """A log of writes that begins after them would not tell it of any."""
    copying = pair.manager.topology and pair.manager.topology.copying
    if copying is not None:
        assert pair.target.driver().execute(copying.needed(pair.target.node))
        assert not pair.source.driver().execute(copying.needed(pair.source.node))
    replicate(pair.manager, pair.target, pair.source)
    wait_for(lambda: pair.all_of(pair.source) == pair.all_of(pair.target), 60, what="the restored data at a replica")


def replicate(manager: BaseManager, primary: RealHost, replica: RealHost) -> None:
    """Have one server follow another, as a node that returns to its cluster."""
    topology, one = manager.topology, primary.node
    assert topology is not None
    other = replace(replica.node, admin_password=one.admin_password, replication_password=one.replication_password)
    replica.node, copying = other, topology.copying
    on_one, on_other = primary.driver().execute, replica.driver().execute
    replica.make(manager)
    on_one(topology.admit(one, other))
    on_other(topology.reset(other))
    if copying is not None:
        public_key = on_other(copying.ask(other))
        on_one(copying.lend(one, other, public_key))
        on_other(copying.take(other, one, one))
        on_one(copying.end(one, other))
    on_other(topology.join(other, one, one))
    wait_for(lambda: on_other(topology.following(other, one)) == STREAMS, 60, every=0.5, what="a replica that follows")


def _alive() -> str:
    looks = f'for name in {SENDERS}; do case $(cat $f 2>/dev/null) in *"($name) Z"*) ;; *"($name) "*) echo yes $name;; esac; done'
    return f"for f in /proc/[0-9]*/stat; do {looks}; done"
