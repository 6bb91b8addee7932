"""Each engine's catalogue of parameters, read from what real servers said: `catalogues`, recorded on Debian 12."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.datastores.base import scripts
from services.datastore_agentless.datastores.base.parameters import _STARTED_SINCE, Catalogue, Parameters
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Put, Result, Run
from services.datastore_agentless.settings import BUILT_IN
from shared.contracts.parameters import BOOLEAN, ENUM, FLAGS, INTEGER, REAL, SET, TEXT, ParameterDefinition, spelled
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

RECORDED = Path(__file__).parent / "catalogues"
ENTRIES = {
    "mysql": ("10.11", ["mariadb-server"]),
    "pgsql": ("15", ["postgresql-15"]),
    "redis": ("7.0", ["redis-server"]),
}
each_engine = pytest.mark.parametrize("engine", list(ENTRIES))
SEE, TAKE = "see_with_what_it_runs", "have_it_take_them_while_it_runs"


def port(engine: str) -> Parameters:
    version, packages = ENTRIES[engine]
    made = load_manager(engine, Datastore("1", engine, engine, version, "debian-12", packages), BUILT_IN).parameters
    assert made is not None
    return made


def node(**values: str) -> Instance:
    return Instance(id="i", cluster_id="c", name="node-1", addr="10.0.0.7", user="root", ram_mb=1024, admin_user="dtrove",
                    admin_password=Secret("s"), replication_password=Secret("r"), parameters=values)  # fmt: skip


def told(engine: str) -> dict[str, ParameterDefinition]:
    host = ScriptedHost(
        read_what_parameters=(RECORDED / f"{engine}.txt").read_text(),
        ask_of_what_kind=(RECORDED / "redis-kinds.txt").read_text(),
        ask_how_large=(RECORDED / "redis-ranges.txt").read_text(),
    )
    found: Catalogue = host.drive(port(engine).catalogue(node()))
    assert all(not command.changes for command in host.commands if not isinstance(command, Put))
    assert found.engine.startswith(ENTRIES[engine][0])
    return {one.name: one for one in found.definitions}


def test_postgresql_says_what_it_has() -> None:
    known = told("pgsql")
    memory, connections = known["work_mem"], known["max_connections"]
    assert (memory.kind, memory.unit, memory.minimum, memory.default, memory.restart) == (
        INTEGER,
        "kB",
        "64",
        "4096",
        False,
    )
    assert (connections.restart, connections.standby, connections.minimum) == (True, True, "20")
    assert (known["autovacuum"].kind, known["autovacuum"].values) == (BOOLEAN, ("off", "on"))
    assert (known["wal_compression"].kind, known["random_page_cost"].kind) == (ENUM, REAL)
    assert spelled(known["shared_buffers"], "256MB") == "256MB"
    assert spelled(known["checkpoint_timeout"], "15min") == "15min"
    assert {name for name in known if known[name].standby} == {
        "max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction",
    }  # fmt: skip
    assert "server_version" not in known


def test_mariadb_says_what_it_has() -> None:
    known = told("mysql")
    pool, connections = known["innodb_buffer_pool_size"], known["max_connections"]
    assert (pool.kind, pool.minimum, pool.maximum, pool.restart) == (INTEGER, "2097152", "18446744073701163008", False)
    assert (connections.default, connections.minimum) == ("151", "20")
    assert (known["performance_schema"].restart, known["slave_parallel_threads"].restart) == (True, True)
    assert (known["sql_mode"].kind, known["optimizer_switch"].kind) == (SET, FLAGS)
    assert "NO_BACKSLASH_ESCAPES" not in known["sql_mode"].values
    assert (known["character_set_server"].kind, known["character_set_server"].restart) == (TEXT, False)
    assert "nosync" not in known["innodb_flush_method"].values
    assert spelled(pool, "1g") == "1G"
    # No option file can have these.
    assert {"time_zone", "gtid_binlog_pos"} & set(known) == set()


def test_redis_says_what_it_has_when_it_is_asked_to_take_what_it_cannot() -> None:
    known = told("redis")
    memory, policy = known["maxmemory"], known["maxmemory-policy"]
    assert (memory.kind, memory.unit, memory.suffixes["mb"], memory.restart) == (INTEGER, "bytes", 2**20, False)
    assert (policy.kind, policy.default) == (ENUM, "noeviction")
    assert "allkeys-lru" in policy.values
    assert (known["activerehashing"].kind, known["activerehashing"].values) == (BOOLEAN, ("no", "yes"))
    assert (known["timeout"].minimum, known["timeout"].maximum) == ("0", "2147483647")
    assert (known["databases"].kind, known["databases"].default, known["databases"].restart) == (INTEGER, "16", True)
    assert (known["save"].kind, known["save"].default) == (TEXT, "3600 1 300 100")
    assert [name for name in known if "slave" in name or "ziplist" in name] == []


@pytest.mark.parametrize(
    ("engine", "names"),
    [
        ("pgsql", "archive_command shared_preload_libraries ssl_passphrase_command data_directory port listen_addresses "
                  "password_encryption synchronous_standby_names fsync zero_damaged_pages statement_timeout"),
        ("mysql", "plugin_dir secure_file_priv datadir server_id wsrep_on general_log local_infile init_connect read_only"),
        ("redis", "dir dbfilename enable-module-command enable-debug-command requirepass masterauth aclfile bind port replicaof "
                  "logfile appendonly min-replicas-to-write tls-port"),
    ],
)  # fmt: skip
def test_what_is_dtroves_own_or_would_run_programs_is_refused_with_a_reason(engine: str, names: str) -> None:
    known = told(engine)
    assert {name: known[name].refused for name in names.split() if not known[name].refused} == {}
    assert any(not one.refused for one in known.values())


@each_engine
def test_a_change_of_what_is_live_is_written_told_and_read_back(engine: str) -> None:
    name, before, after = {
        "pgsql": ("work_mem", "4096", "8MB"), "mysql": ("max_connections", "151", "200"), "redis": ("timeout", "0", "7"),
    }[engine]  # fmt: skip
    answers = iter((before, {"pgsql": "8192"}.get(engine, after)))
    host = ScriptedHost(**{SEE: lambda _: Result(stdout=said(engine, name, next(answers)))})
    seen = host.drive(port(engine).change(node(**{name: after}), [name], told(engine)))
    assert seen.states == {name: "live"}
    (file,) = [command for command in host.commands if isinstance(command, Put)]
    assert after in str(file.content)
    again = ScriptedHost(**{SEE: said(engine, name, after)})
    again.drive(port(engine).change(node(**{name: after}), [name], told(engine)))
    assert len(again.titles) == 2


@pytest.mark.parametrize(("started", "state"), [("yes", "adjusted"), ("no", "restart"), ("", "restart")])
def test_what_an_engine_starts_with_otherwise_waits_for_no_further_restart(started: str, state: str) -> None:
    host = ScriptedHost(
        **{SEE: said("mysql", "performance_schema", "OFF"), "see_whether_it_has_started": f"{started}\n"}
    )
    seen = host.drive(port("mysql").change(node(performance_schema="ON"), ["performance_schema"], told("mysql")))
    assert seen.states == {"performance_schema": state}
    assert not any("SET GLOBAL" in str(command.stdin) for command in host.commands if isinstance(command, Run))


@pytest.mark.parametrize(("seconds", "answer"), [(-60, "yes"), (60, "no")])
def test_a_process_that_began_after_the_file_was_written_has_read_it(tmp_path: Path, seconds: int, answer: str) -> None:
    engine, file = tmp_path / "dtrove-tuned", tmp_path / "its.conf"
    shutil.copy("/bin/sleep", engine)
    file.touch()
    with subprocess.Popen([engine, "20"]) as process:
        os.utime(file, (time.time() + seconds,) * 2)
        line = _STARTED_SINCE.format(running=scripts.RUNNING, process=engine.name, file=file)
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True, timeout=20)
        process.kill()
    assert done.stdout.strip() == answer


def said(engine: str, name: str, value: str) -> str:
    """What an engine answers that is asked for one parameter."""
    row = f'"{name}": "{value}"' if engine == "pgsql" else f'"name": "{name}", "value": "{value}"'
    return f"{name}\n{value}\n" if engine == "redis" else f"{{{row}}}\n"


def test_what_is_not_set_any_more_has_what_the_template_says_or_the_engines_default() -> None:
    known = told("pgsql")
    assert port("pgsql").goals(node(), ["effective_cache_size", "work_mem", "wal_keep_size"], known) == {
        "effective_cache_size": "512MB", "work_mem": "4096", "wal_keep_size": "256MB",
    }  # fmt: skip


def test_numbers_and_texts_are_told_to_mariadb_as_it_reads_them() -> None:
    known = told("mysql")
    goals = {"innodb_buffer_pool_size": "1G", "sql_mode": "NO_ZERO_DATE", "long_query_time": "0.5"}
    assert port("mysql").statements(goals, known) == [
        "SET GLOBAL innodb_buffer_pool_size = 1073741824;", "SET GLOBAL sql_mode = 'NO_ZERO_DATE';",
        "SET GLOBAL long_query_time = 0.5;",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "answer"),
    [
        ("redis", {TAKE: "ERR CONFIG SET failed (possibly related to argument 'timeout') - no\n"}),
        ("pgsql", {"see_that_it_can_read": 'work_mem: invalid value "x"\n'}),
        ("mysql", {TAKE: Result(code=1, stderr="ERROR 1231 (42000): Variable 'x' can't be set")}),
    ],
)
def test_an_engine_that_does_not_take_it_is_heard(engine: str, answer: dict[str, Any]) -> None:
    name = {"redis": "timeout", "pgsql": "work_mem", "mysql": "max_connections"}[engine]
    host = ScriptedHost(**answer)
    with pytest.raises(CommandFailed) as caught:
        host.drive(port(engine).apply(node(), {name: "99"}, told(engine)))
    assert caught.value.stderr


def reads(engine: str) -> Callable[[str], str]:
    """How a manager writes a value into its file."""
    return port(engine).manager.configured  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("engine", "value", "written"),
    [
        ("redis", "", '""'), ("redis", "3600 1 300 100", "3600 1 300 100"), ("redis", 'a"b', '"a\\x22b"'),
        ("mysql", "utf8mb4", "utf8mb4"), ("mysql", "a#b", '"a#b"'), ("mysql", '"as it was"', '"as it was"'),
    ],
)  # fmt: skip
def test_a_value_is_written_so_that_the_engine_reads_it_back(engine: str, value: str, written: str) -> None:
    assert reads(engine)(value) == written
