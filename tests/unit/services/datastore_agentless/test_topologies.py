"""How replicas are told to follow, and what is believed of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.datastore_agentless.datastores.base import BaseManager, Topology
from services.datastore_agentless.datastores.base.topology import NOTHING, STREAMS
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.datastores.pgsql.standby import slot_of
from services.datastore_agentless.datastores.redis.manager import RedisManager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Job, Put, Run
from shared.errors import Failure
from shared.secrets import Secret
from shared.verifiers import mysql_native
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

WORDS = Secret("se'cr:et\\")


def node(number: int) -> Instance:
    return Instance(id=f"2f0c8b1e-0000-4000-8000-00000000000{number}", cluster_id="c", name=f"shop-{number}", addr=f"10.0.0.{number}",
                    admin_user="dtrove", admin_password=Secret("admin"), replication_password=WORDS)  # fmt: skip


PRIMARY, REPLICA, OTHER = node(1), node(2), node(3)


def topology(manager: type[BaseManager], version: str = "1", *packages: str) -> Topology:
    made = manager(
        Datastore(id="d", manager_class="x", manager="x", version=version, image="", packages=list(packages))
    )
    assert made.topology is not None
    return made.topology


PGSQL, MYSQL, REDIS = topology(PostgresManager, "15"), topology(MySQLManager), topology(RedisManager)
COPYING = MYSQL.copying
assert COPYING is not None
LOG = "dtrove-bin.000007\t4\tFormat_desc\t1\t256\tServer ver: 10.11\ndtrove-bin.000007\t256\tGtid_list\t1\t285\t[]\n"
ALL = {"pgsql": PGSQL, "mysql": MYSQL, "redis": REDIS}


@pytest.mark.parametrize("name", ALL)
def test_no_command_that_makes_a_replica_shows_the_password(name: str) -> None:
    chosen = ALL[name]
    for script in (
        chosen.admit(PRIMARY, REPLICA),
        chosen.join(REPLICA, PRIMARY, PRIMARY),
        chosen.protect(PRIMARY, [REPLICA], "sync"),
    ):
        host = ScriptedHost()
        host.drive(script)
        for command in host.commands:
            told = command.content if isinstance(command, Put) else getattr(command, "stdin", None)
            assert isinstance(told, Secret) or "cr:et" not in str(told)
        assert "cr:et" not in host.lines


@pytest.mark.parametrize(
    ("told", "lacks"),
    [
        ("streaming from 10.0.0.1", STREAMS),
        ("streaming from 10.0.0.9", "streaming from 10.0.0.9"),
        ("it receives nothing", "it receives nothing"),
    ],
)
def test_a_standby_is_believed_to_follow_when_it_streams_from_its_primary(told: str, lacks: str) -> None:
    assert ScriptedHost(see_whether_it_follows=f"{told}\n").drive(PGSQL.following(REPLICA, PRIMARY)) == lacks


def test_a_standby_that_has_its_copy_takes_no_other_and_only_reads_again_whom_to_follow() -> None:
    host = ScriptedHost(see_whether_it_is_a_standby="yes\n")
    host.drive(PGSQL.join(REPLICA, PRIMARY, PRIMARY))
    assert not [title for title in host.titles if title.startswith(("copy", "put the copy"))]
    assert host.titles[-1] == "read whom to follow"


def test_a_slot_is_named_as_postgresql_takes_it() -> None:
    name = slot_of(REPLICA)
    assert name == "dtrove_2f0c8b1e_0000_4000_8000_000000000002"
    assert len(name) <= 63


@pytest.mark.parametrize(
    ("mode", "replicas", "waits"),
    [
        ("sync", [OTHER, REPLICA], f'ANY 1 ("{slot_of(REPLICA)}", "{slot_of(OTHER)}")'),
        ("sync", [], ""),
        ("async", [REPLICA], ""),
    ],
)
def test_a_commit_waits_for_any_standby_in_the_mode_sync_and_for_nobody_else(
    mode: str, replicas: list[Instance], waits: str
) -> None:
    host = ScriptedHost()
    host.drive(PGSQL.protect(PRIMARY, replicas, mode))
    (written,) = [command for command in host.commands if isinstance(command, Put)]
    assert f"synchronous_standby_names = '{waits}'" in str(written.content)


def mysql_told(**changes: str) -> dict[str, Any]:
    facts = {"Master_Host": "10.0.0.1", "Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes", "Last_IO_Error": "",
             "Last_SQL_Error": "", **changes}  # fmt: skip
    return {"see_whether_it_follows": "".join(f"   {name}: {value}\n" for name, value in facts.items())}


@pytest.mark.parametrize(
    ("changes", "lacks"),
    [
        ({}, STREAMS),
        ({"Master_Host": "10.0.0.9"}, "it follows 10.0.0.9"),
        ({"Slave_IO_Running": "Connecting", "Last_IO_Error": "no route"}, "no route"),
        ({"Slave_SQL_Running": "No"}, "its threads do not run yet"),
    ],
)
def test_a_replica_of_mariadb_is_believed_to_follow_when_both_its_threads_run(
    changes: dict[str, str], lacks: str
) -> None:
    assert ScriptedHost(**mysql_told(**changes)).drive(MYSQL.following(REPLICA, PRIMARY)) == lacks


def test_a_replica_of_mariadb_that_cannot_apply_what_it_receives_says_so() -> None:
    host = ScriptedHost(**mysql_told(Last_SQL_Error="Error 1062"))
    with pytest.raises(Failure, match="cannot apply what it receives: Error 1062"):
        host.drive(MYSQL.following(REPLICA, PRIMARY))


def test_a_password_is_hashed_as_mariadb_stores_it() -> None:
    # Source: the example of MariaDB's documentation for PASSWORD().
    assert mysql_native("notagoodpwd") == "*3A70EE9FC6594F88CE9E959CD51C5A1C002DC937"


def test_mysqls_own_server_has_no_replicas_here() -> None:
    made = MySQLManager(
        Datastore(id="d", manager_class="x", manager="mysql", version="8", image="", packages=["mysql-server"])
    )
    assert made.topology is None


@pytest.mark.parametrize(
    ("told", "lacks"),
    [
        ("role:slave\r\nmaster_host:10.0.0.1\r\nmaster_link_status:up\r\nmaster_sync_in_progress:0\r\n", STREAMS),
        ("role:master\r\n", "it follows nobody"),
        ("role:slave\nmaster_host:10.0.0.9\n", "it follows 10.0.0.9"),
        ("role:slave\nmaster_host:10.0.0.1\nmaster_sync_in_progress:1\n", "it copies the data of shop-1"),
        ("role:slave\nmaster_host:10.0.0.1\nmaster_link_status:down\n", "its line to the primary is down"),
    ],
)
def test_a_replica_of_redis_is_believed_to_follow_when_its_link_is_up(told: str, lacks: str) -> None:
    assert ScriptedHost(see_whether_it_follows=told).drive(REDIS.following(REPLICA, PRIMARY)) == lacks


def test_a_replica_of_redis_that_refuses_to_follow_fails_whatever_its_exit_code() -> None:
    host = ScriptedHost(**{"follow_shop-1": "OK\nOK\nERR unknown option\n"})
    with pytest.raises(CommandFailed, match="ERR unknown option"):
        host.drive(REDIS.join(REPLICA, PRIMARY, PRIMARY))


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("pgsql", "postgresql://d%40@a:1,[::1]:2/postgres?target_session_attrs=read-write"),
        ("mysql", "mysql://d%40@a:1,[::1]:2/"),
        ("redis", "redis://d%40@a:1/0"),
    ],
)
def test_the_url_of_a_cluster_is_one_that_stock_drivers_take(name: str, url: str) -> None:
    assert ALL[name].url([("a", 1), ("::1", 2)], "d@") == url


@pytest.mark.parametrize("name", ALL)
def test_the_url_of_one_node_is_its_own(name: str) -> None:
    assert ALL[name].url([("a", 1)], "d") == ALL[name].manager.url("a", 1, "d")


def test_a_slot_is_dropped_once_the_primary_has_let_go_of_its_standby() -> None:
    host = ScriptedHost(drop_the_slot="its slot is in use\n")
    assert host.drive(PGSQL.dismiss(PRIMARY, REPLICA)) == "its slot is in use"
    host = ScriptedHost()
    assert host.drive(PGSQL.dismiss(PRIMARY, REPLICA)) == NOTHING
    (command,) = host.commands
    assert str(getattr(command, "stdin", "")).count(f"slot_name = '{slot_of(REPLICA)}'") == 3


@pytest.mark.parametrize("chosen", [MYSQL, REDIS])
def test_who_keeps_nothing_for_a_replica_has_nothing_to_forget(chosen: Topology) -> None:
    host = ScriptedHost()
    assert host.drive(chosen.dismiss(PRIMARY, REPLICA)) == NOTHING
    assert host.commands == []


def test_a_log_that_begins_with_the_first_transaction_needs_no_copy() -> None:
    for told, needed in ((LOG, False), (LOG.replace("[]", "[0-7-41]"), True)):
        host = ScriptedHost(see_how_far_back="dtrove-bin.000007\t330\ndtrove-bin.000008\t512\n", see_what_came=told)
        assert host.drive(COPYING.needed(PRIMARY)) is needed
        assert "IN 'dtrove-bin.000007'" in str(getattr(host.commands[1], "stdin", ""))


def test_a_primary_without_a_log_is_told_of() -> None:
    with pytest.raises(Failure, match="no binary log"):
        ScriptedHost(see_how_far_back="").drive(COPYING.needed(PRIMARY))


@pytest.mark.parametrize(("user", "line"), [("root", "mariadb-backup"), ("debian", "sudo -n mariadb-backup")])
def test_the_key_of_a_copy_opens_one_command_for_a_while(user: str, line: str) -> None:
    host = ScriptedHost(see_what_is_installed="yes")
    host.drive(COPYING.lend(replace(PRIMARY, user=user), REPLICA, "ssh-ed25519 AAAA dtrove-copy"))
    assert f'restrict,command="{line} --backup' in host.lines
    assert "expiry-time=" in host.lines
    host = ScriptedHost()
    host.drive(COPYING.end(replace(PRIMARY, user=user), REPLICA))
    assert f"dtrove-access-copy-{REPLICA.id}" in host.lines


def test_a_copy_is_fetched_from_the_pinned_host_alone_and_read_only_from_its_first_moment() -> None:
    known = replace(PRIMARY, user="debian", host_key="ssh-ed25519 AAAA")
    host = ScriptedHost(see_whether_the_data="no")
    host.drive(COPYING.take(REPLICA, PRIMARY, known))
    files = {one.path: one.content for one in host.commands if isinstance(one, Put)}
    assert files["/run/dtrove-copy/known_hosts"] == "dtrove-source ssh-ed25519 AAAA\n"
    (job,) = [one for one in host.commands if isinstance(one, Job)]
    assert "StrictHostKeyChecking=yes" in job.script
    assert "debian@10.0.0.1 </dev/null" in job.script
    titles = host.titles
    assert titles.index("write that it only reads") < titles.index("put the copy in its place")


def test_what_is_a_copy_already_is_not_copied_again() -> None:
    host = ScriptedHost(see_whether_the_data="yes")
    host.drive(COPYING.take(REPLICA, PRIMARY, PRIMARY))
    assert len(host.commands) == 1


def test_a_copy_is_followed_from_where_it_was_made() -> None:
    host = ScriptedHost(see_how_far_its_data="0-7-41\n")
    host.drive(MYSQL.join(REPLICA, PRIMARY, PRIMARY))
    told = [one.stdin for one in host.commands if isinstance(one, Run)]
    assert any("gtid_slave_pos = '0-7-41'" in one.reveal() for one in told if isinstance(one, Secret))


def test_a_position_that_is_none_is_not_put_into_a_statement() -> None:
    with pytest.raises(Failure, match="does not say"):
        ScriptedHost(see_how_far_its_data="'; DROP").drive(MYSQL.join(REPLICA, PRIMARY, PRIMARY))


def test_a_standby_that_sends_its_data_needs_no_slot_and_the_one_at_the_primary_is_followed_all_the_same() -> None:
    host = ScriptedHost(see_whether_it_is_a_standby="no\n")
    host.drive(PGSQL.join(REPLICA, PRIMARY, OTHER))
    (copy,) = [one for one in host.commands if isinstance(one, Job)]
    assert "-h 10.0.0.3 " in copy.script
    assert " -S " not in copy.script
    assert copy.name == f"copy-from-{PRIMARY.id}", "whoever else sends it is not asked for a second one meanwhile"
    (followed,) = [one for one in host.commands if isinstance(one, Put) and "primary_conninfo" in str(one.content)]
    assert "host=10.0.0.1 " in str(followed.content)
    assert f"primary_slot_name = '{slot_of(REPLICA)}'" in str(followed.content)


@pytest.mark.parametrize(
    ("since", "told", "lends"),
    [("0/3000028", "t", True), ("0/3000028", "f", False), ("", "t", False), ("0/3'; DROP", "t", False)],
)
def test_a_standby_lends_its_data_where_it_has_all_that_comes_before_the_slot(
    since: str, told: str, lends: bool
) -> None:
    assert ScriptedHost(see_whether_it_has_the_data=f"{told}\n").drive(PGSQL.lends(OTHER, since)) is lends
