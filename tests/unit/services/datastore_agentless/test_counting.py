"""The numbers of engines: how they are asked for beside a node's standing, and what is made of real servers' answers."""

from __future__ import annotations

from typing import Any

import pytest

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.datastores.base import BaseManager, probing
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Result
from services.datastore_agentless.settings import BUILT_IN
from shared.contracts.numbers import NUMBERS
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

VERSIONS = {"mysql": ("10.11", "mariadb-server"), "pgsql": ("15", "postgresql-15"), "redis": ("7.0", "redis-server")}

# PostgreSQL 15.18, a primary.
PGSQL = """f|22280392|0/153F8C8||f|
dtrove-numbers
{"connections" : 3, "connections_limit" : 100, "commits_total" : 927, "rollbacks_total" : 1, "cache_hits_total" : 94966, \
"cache_misses_total" : 1616, "deadlocks_total" : 2, "temporary_bytes_total" : 14000, "uptime_seconds" : 262.990647, \
"longest_transaction_seconds" : 7.25, "log_written_bytes_total" : 22280392}
{"data_bytes" : 22813905}
"""
# MariaDB 10.11.19, a replica.
MYSQL = """read_only\thas\tapplied
1\t0-1-4\t0-1-4
Master_Host\tSlave_IO_Running\tSlave_SQL_Running\tSeconds_Behind_Master\tGtid_IO_Pos
10.0.0.1\tYes\tYes\t0\t0-1-9
dtrove-numbers
dtrove-numbers
Variable_name\tValue
Binlog_commits\t2
Binlog_bytes_written\t784
Com_rollback\t1
Innodb_buffer_pool_read_requests\t1603
Innodb_buffer_pool_reads\t165
Innodb_deadlocks\t0
Queries\t46
Slow_queries\t3
Threads_connected\t1
Uptime\t294
Variable_name\tValue
max_connections\t151
data_bytes\tSUM(FILE_SIZE)
data_bytes\t25542656
"""
# Redis 7.0.15, a primary; a client has put a colon and a mark into a slow command.
REDIS = """role:master\r\nmaster_repl_offset:84\r\nmaster_replid:3f12\r\nmin-replicas-to-write\n0
dtrove-numbers
# Server\r\nuptime_in_seconds:299\r\n\r\n# Clients\r\nconnected_clients:2\r\nmaxclients:10000\r\n\r\n# Memory\r
used_memory:1200416\r\nused_memory_human:1.14M\r\nused_memory_dataset:323896\r\nmaxmemory:0\r\n\r\n# Stats\r
total_commands_processed:46\r\nexpired_keys:5\r\nevicted_keys:4\r\nkeyspace_hits:7\r\nkeyspace_misses:1\r\n\r\n# Replication\r
role:master\r\nmaster_repl_offset:84\r\n
dtrove-slow
48
1795955973
12345
SET
evicted_keys:99
dtrove-slow
"""
COUNTED = {
    "pgsql": {
        "connections": 3, "connections_limit": 100, "commits_total": 927, "rollbacks_total": 1, "cache_hits_total": 94966,
        "cache_misses_total": 1616, "deadlocks_total": 2, "temporary_bytes_total": 14000, "uptime_seconds": 262.990647,
        "longest_transaction_seconds": 7.25, "log_written_bytes_total": 22280392, "data_bytes": 22813905,
    },
    "mysql": {
        "connections": 1, "connections_limit": 151, "commits_total": 2, "rollbacks_total": 1, "queries_total": 46,
        "slow_queries_total": 3, "deadlocks_total": 0, "cache_hits_total": 1438, "cache_misses_total": 165,
        "uptime_seconds": 294, "data_bytes": 25542656, "log_written_bytes_total": 784,
        "replication_received_transactions_total": 9,
    },
    "redis": {
        "connections": 2, "connections_limit": 10000, "commands_total": 46, "evictions_total": 4, "expirations_total": 5,
        "cache_hits_total": 7, "cache_misses_total": 1, "data_bytes": 323896, "memory_used_bytes": 1200416,
        "memory_limit_bytes": 0, "uptime_seconds": 299, "slow_queries_total": 49, "log_written_bytes_total": 84,
    },
}  # fmt: skip
ANSWERS = {"pgsql": PGSQL, "mysql": MYSQL, "redis": REDIS}


def manager(name: str) -> BaseManager:
    version, package = VERSIONS[name]
    return load_manager(name, Datastore("d", name, name, version, "debian-12", [package]), BUILT_IN)


def node() -> Instance:
    return Instance("i", "c", "shop-1", addr="10.0.0.2", admin_user="u", admin_password=Secret("pw-canary"))


def counted(name: str, answer: Result) -> Any:
    """What is made of a node of several."""
    primary = Instance("p", "c", "shop-0", addr="10.0.0.1")
    return ScriptedHost(see_where_it_stands=answer).drive(probing.ask(manager(name), node(), primary, count=True))


@pytest.mark.parametrize("name", ANSWERS)
def test_an_engine_s_answer_becomes_its_numbers_and_its_standing_stays_what_it_was(name: str) -> None:
    answer = ANSWERS[name]
    found = counted(name, Result(stdout=answer))
    assert found.numbers == COUNTED[name]
    plain = ScriptedHost(see_where_it_stands=answer.partition("dtrove-numbers\n")[0])
    assert found.standing == plain.drive(probing.ask(manager(name), node(), node())).standing
    assert set(found.numbers) <= {one.name for one in NUMBERS if name in one.engines}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_a_simulated_host_says_has_every_number_that_a_primary_has(name: str) -> None:
    counting = manager(name).counting
    assert counting is not None
    received = {"replication_received_bytes_total", "replication_received_transactions_total"}
    assert set(counting.read(counting.sample)) == {one.name for one in NUMBERS if name in one.engines} - received


@pytest.mark.parametrize("name", ANSWERS)
def test_an_engine_that_cannot_count_is_as_well_as_one_that_can(name: str) -> None:
    said = ANSWERS[name].partition("dtrove-numbers\n")[0]
    found = counted(name, Result(code=1, stdout=f"{said}dtrove-numbers\n", stderr="ERROR: canceling statement"))
    assert (found.answers, dict(found.numbers)) == (
        True,
        {"replication_received_transactions_total": 9.0} if name == "mysql" else {},
    )
    with pytest.raises(CommandFailed) as failed:
        counted(name, Result(code=2, stderr="it is starting up"))
    assert failed.value.stderr == "it is starting up"


@pytest.mark.parametrize("name", ANSWERS)
def test_one_command_asks_for_both_and_no_secret_is_in_it(name: str) -> None:
    for primary in (None, node()):
        host = ScriptedHost(see=ANSWERS[name])
        host.drive(probing.ask(manager(name), node(), primary, count=True))
        (asked,) = host.commands
        assert not getattr(asked, "changes", True)
        assert "pw-canary" not in host.lines
