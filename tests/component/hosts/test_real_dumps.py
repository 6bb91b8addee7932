"""Data that leave one real host as a stream, and come to another, for each engine: whole, once, and with everybody's login."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.datastore_agentless.datastores.base.dumping import RESTORED
from services.datastore_agentless.hosts.base import CommandFailed, Run, Script
from services.datastore_agentless.hosts.jobs import JobFolder
from shared.secrets import Secret
from tests.component.hosts import lifelike
from tests.component.hosts.outside import REFUSALS
from tests.component.hosts.pairs import Pair, replicate
from tests.component.hosts.real import DATASTORES, PASSWORD, RealHosts, manager_of
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


@pytest.fixture(scope="module", params=list(DATASTORES))
def pair(request: pytest.FixtureRequest, real_hosts: RealHosts) -> Iterator[Pair]:
    made = Pair(manager_of(request.param), real_hosts.make(golden=True), real_hosts.make(golden=True))
    for host, words in ((made.source, PASSWORD), (made.target, OTHER_PASSWORD)):
        host.node = replace(host.node, admin_password=Secret(words), replication_password=Secret(f"{words[::-1]}"))
        host.make(made.manager)
    lifelike.load(made.source, made.manager)
    yield made
    made.source.sh(f"rm -f {made.file}")
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


def _alive() -> str:
    looks = f'for name in {SENDERS}; do case $(cat $f 2>/dev/null) in *"($name) Z"*) ;; *"($name) "*) echo yes $name;; esac; done'
    return f"for f in /proc/[0-9]*/stat; do {looks}; done"
