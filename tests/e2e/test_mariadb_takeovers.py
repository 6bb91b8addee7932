"""Three nodes of MariaDB on real hosts change places by their topology's scripts alone, while a client writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pymysql
import pytest

from services.datastore_agentless.datastores.base.topology import SYNC
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed
from shared.secrets import Secret
from tests.component.hosts.real import PASSWORD, RealHosts, manager_of, real_hosts_of_their_own
from tests.e2e.mariadb import Client, Cluster, login
from tests.support.installation import wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def hosts() -> Iterator[RealHosts]:
    with real_hosts_of_their_own() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(hosts: RealHosts) -> Cluster:
    manager = manager_of("mysql")
    assert isinstance(manager, MySQLManager)
    made = [hosts.make(ram_mb=512) for _ in range(3)]
    for host in made:
        host.node = replace(host.node, replication_password=Secret("se'cr:et\\"))
    with ThreadPoolExecutor(3) as workers:
        list(workers.map(lambda host: host.make(manager), made))
    cluster = Cluster(manager, {host.node.name: host for host in made}, made[0].node)
    with login(cluster.primary) as connection, connection.cursor() as cursor:
        cursor.execute("create role anything")
        cursor.execute("create user early@'%%' identified by %s", (PASSWORD,))
        for one in ("anything", "early@'%'"):
            cursor.execute(f"grant all privileges on *.* to {one}")
        cursor.execute("grant anything to early@'%'")
    for replica in cluster.others:
        cluster.join(replica)
    cluster.protect()
    with login(cluster.primary) as connection, connection.cursor() as cursor:
        cursor.execute("create database shop")
        cursor.execute("create table shop.fruit (id int primary key)")
    return cluster


def test_no_engine_of_several_nodes_starts_at_boot(cluster: Cluster) -> None:
    for host in cluster.hosts.values():
        assert host.sh("ls /etc/rc2.d | grep mariadb").startswith("K")


def test_who_had_all_rights_before_there_were_replicas_writes_to_none(cluster: Cluster) -> None:
    for replica in cluster.others:
        with login(replica, user="early") as connection, connection.cursor() as cursor:
            cursor.execute("set role anything")
            with pytest.raises(pymysql.MySQLError, match="read-only"):
                cursor.execute("create database early")


def test_a_switchover_under_load_loses_no_acknowledged_row(
    cluster: Cluster, record_property: Callable[[str, object], None]
) -> None:
    topology, former = cluster.topology, cluster.primary
    chosen, other = cluster.others
    assert cluster.standing(former).writable
    assert cluster.standing(chosen).streams
    with Client(cluster, 0) as client:
        frozen = cluster.timed("freeze", former, topology.freeze(former))
        wait_for(lambda: cluster.standing(chosen).received >= frozen.received, 10, 0.02, "all of it on the chosen one")
        assert cluster.standing(former) == frozen
        cluster.promote(chosen)
        cluster.primary = chosen
        cluster.twice(former, lambda: topology.demote(former, chosen))
        cluster.twice(other, lambda: topology.follow(other, chosen))
        for replica in (former, other):
            cluster.sees(replica)
        cluster.protect()
        client.goes_on()
    for node in (chosen, other, former):
        cluster.wait_for_rows(node, set(client.acknowledged))
    record_property("seen", {**cluster.took, "gap": round(client.gap, 3), "rows": len(client.acknowledged)})
    standing = cluster.standing(former)
    assert (standing.writable, standing.follows, standing.streams) == (False, chosen.addr, True)
    with (
        login(former) as connection,
        connection.cursor() as cursor,
        pytest.raises(pymysql.MySQLError, match="read-only"),
    ):
        cursor.execute("insert into shop.fruit values (-1)")


def test_roles_outlive_a_restart_of_the_engines(cluster: Cluster) -> None:
    for node in cluster.others:
        cluster.run(node, cluster.manager.restart())
        cluster.sees(node)
        assert not cluster.standing(node).writable
    cluster.run(cluster.primary, cluster.manager.restart())
    assert cluster.standing(cluster.primary).writable
    assert waits(cluster) == "ON"


def waits(cluster: Cluster) -> str:
    """Whether the primary's commits wait for a replica."""
    with login(cluster.primary) as connection, connection.cursor() as cursor:
        cursor.execute("show global variables like 'rpl_semi_sync_master_enabled'")
        return str(cursor.fetchone()[1])


def test_a_frozen_primary_stays_frozen_over_a_restart_and_thaws_as_it_was(cluster: Cluster) -> None:
    topology, primary = cluster.topology, cluster.primary
    # A connection that is older than the freeze, in the middle of a transaction.
    with login(primary) as connection, connection.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute("insert into shop.fruit values (-2)")
        cluster.twice(primary, lambda: topology.freeze(primary))
        with pytest.raises(pymysql.MySQLError):
            cursor.execute("commit")
    cluster.run(primary, cluster.manager.restart())
    assert not cluster.standing(primary).writable
    cluster.twice(primary, lambda: topology.thaw(primary))
    assert cluster.standing(primary).writable
    assert waits(cluster) == "ON"
    assert -2 not in cluster.rows(primary)
    with Client(cluster, 500_000) as client:
        client.goes_on()


def test_a_commit_that_nobody_acknowledges_does_not_hold_up_a_freeze(
    cluster: Cluster, record_property: Callable[[str, object], None]
) -> None:
    topology, primary = cluster.topology, cluster.primary
    for replica in cluster.others:
        cluster.hosts[replica.name].sh("mysql -uroot -e 'stop slave io_thread'")
    told: list[Exception] = []
    thread = threading.Thread(target=_insert, args=(primary, -3, told))
    thread.start()
    waiting = "select count(*) from information_schema.processlist where state like 'Waiting for semi-sync%'"
    wait_for(
        lambda: cluster.hosts[primary.name].sh(f'mysql -uroot -N -e "{waiting}"') == "1", 10, 0.1, "a waiting commit"
    )
    cluster.timed("freeze with a commit that waits", primary, topology.freeze(primary))
    thread.join()
    assert told, "a row was acknowledged that no replica has"
    cluster.run(primary, topology.thaw(primary))
    for replica in cluster.others:
        cluster.run(replica, topology.follow(replica, primary))
        cluster.sees(replica)
    record_property("seen", cluster.took)


def _insert(node: Instance, number: int, told: list[Exception]) -> None:
    try:
        with login(node, patience=60) as connection, connection.cursor() as cursor:
            cursor.execute("insert into shop.fruit values (%s)", (number,))
    except pymysql.MySQLError as error:
        told.append(error)


def test_a_killed_primary_is_replaced_and_comes_back_with_the_data_of_the_new_one(
    cluster: Cluster, record_property: Callable[[str, object], None]
) -> None:
    topology, killed = cluster.topology, cluster.primary
    with Client(cluster, 1_000_000) as client:
        # Debian's wrapper would start it again.
        cluster.hosts[killed.name].sh("kill -9 $(pidof -x mysqld_safe mariadbd-safe) $(pidof mariadbd)")
        with pytest.raises(CommandFailed):
            cluster.standing(killed)
        first, second = sorted(cluster.others, key=lambda one: cluster.standing(one).received)
        wait_for(lambda: not cluster.standing(second).streams, 10, 0.2, "its testimony that the primary is gone")
        cluster.promote(second)
        cluster.primary = second
        cluster.twice(first, lambda: topology.follow(first, second))
        cluster.sees(first)
        cluster.run(second, topology.protect(second, [first], SYNC))
        client.goes_on()

        cluster.twice(killed, lambda: topology.reset(killed))
        cluster.run(second, topology.admit(second, killed))
        began = time.monotonic()
        cluster.copy(killed)
        cluster.took["copy"] = round(time.monotonic() - began, 3)
        assert not cluster.standing(killed).writable
        cluster.twice(killed, lambda: topology.join(killed, second, second))
        cluster.sees(killed)
        cluster.protect()
        client.goes_on()
    for node in (second, first, killed):
        cluster.wait_for_rows(node, set(client.acknowledged))
    record_property("seen", {**cluster.took, "gap": round(client.gap, 3), "rows": len(client.acknowledged)})


def test_a_node_that_came_back_by_a_copy_can_be_the_primary_and_says_that_others_need_a_copy(cluster: Cluster) -> None:
    topology, former = cluster.topology, cluster.primary
    copied = next(one for one in cluster.others if cluster.run(one, topology.copying.position(one)))
    other = next(one for one in cluster.others if one.name != copied.name)
    frozen = cluster.run(former, topology.freeze(former))
    wait_for(lambda: cluster.standing(copied).received >= frozen.received, 10, 0.02, "all of it on the chosen one")
    cluster.promote(copied)
    cluster.primary = copied
    cluster.run(former, topology.demote(former, copied))
    cluster.run(other, topology.follow(other, copied))
    cluster.protect()
    with Client(cluster, 2_000_000) as client:
        client.goes_on()
    for node in (other, former):
        cluster.sees(node)
        cluster.wait_for_rows(node, set(client.acknowledged))
    # Its log begins where it was copied: whoever read that alone would lack all that was before.
    assert cluster.run(copied, topology.copying.needed(copied))
