"""What is counted beside a backup: what is believed of it, and what a proof says of data that are otherwise."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.datastore_agentless.datastores.base.tallying import MOST, Tallying
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.datastores.redis.manager import RedisManager
from services.datastore_agentless.domain import tally as tallies
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.tally import Table, Tally
from services.datastore_agentless.hosts.base import Job, Result
from shared.contracts.backups import CheckResult, DatabaseTally
from shared.contracts.base import dump
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

NODE = Instance(id="n", cluster_id="c", name="db-1", addr="10.0.0.1", ram_mb=2048, data_dir="/data", admin_user="dtrove",
                admin_password=Secret("words"))  # fmt: skip
ORDERS, NOTES = Table("shop", "public.orders", 10, "42"), Table("shop", "public.notes", 3)
KEPT = Tally((ORDERS, NOTES), changed=1, left=2)


def tallying(manager: Any, version: str, **changes: Any) -> Tallying:
    made = manager(Datastore(id="d", manager_class="x", manager="x", version=version, image="", **changes)).tallying
    assert made is not None
    return made


PGSQL, MYSQL, REDIS = tallying(PostgresManager, "15"), tallying(MySQLManager, "10.11"), tallying(RedisManager, "7.0")
TABLES = {"pgsql": PGSQL, "mysql": MYSQL}


def line(table: Table, word: str = "w") -> str:
    return "\t".join(
        ("table", table.database.encode().hex(), table.name.encode().hex(), word, str(table.rows), table.sum, ".")
    )


def compared(engine: Tallying, kept: Tally, *found: Table, **answers: Any) -> CheckResult:
    said = "".join(f"{line(one)}\n" for one in found)
    result: CheckResult = ScriptedHost(hold_the_rows=said, **answers).drive(engine.compare(NODE, kept))
    return result


def test_what_a_manifest_has_of_it_is_what_it_was() -> None:
    assert tallies.read(tallies.kept(KEPT)) == KEPT
    assert tallies.read(None) is None


def test_others_are_told_of_each_database_and_not_of_each_table() -> None:
    told = tallies.facts(Tally((ORDERS, NOTES, Table("other", "t", 5)), changed=1))
    assert told is not None
    assert dump(told)["databases"] == [
        dump(DatabaseTally(name="other", tables=1, rows=5)),
        dump(DatabaseTally(name="shop", tables=2, rows=13, sums=1)),
    ]
    assert (told.tables, told.rows, told.sums, told.changed) == (3, 18, 1, 1)


@pytest.mark.parametrize("engine", TABLES.values(), ids=TABLES)
def test_tables_that_were_written_to_meanwhile_are_left_out(engine: Tallying) -> None:
    said = ["tables\t3", "tables\t2", line(ORDERS, "5/1"), line(Table("shop", "public.queue", 0), "5/2"), line(NOTES, "5/3"),
            "changed\t5/2", "changed\t1/1259", "end"]  # fmt: skip
    assert engine.read(said) == Tally((ORDERS, NOTES), changed=1, left=2)


@pytest.mark.parametrize("bad", [line(ORDERS)[:-2], line(ORDERS)[:20], "table", line(ORDERS).replace("10", "ten"),
                                 line(ORDERS).replace("73", "7x"), "ERROR: whatever"])  # fmt: skip
def test_half_a_line_and_what_is_none_are_not_believed(bad: str) -> None:
    assert PGSQL.read(["tables\t2", bad, line(NOTES), "end"]) == Tally((NOTES,), left=1)


def test_a_count_that_did_not_come_to_its_end_is_none_and_says_why() -> None:
    assert PGSQL.read(["tables\t1", line(NOTES), "why\tthe log is gone"]) == Tally(why="the log is gone")
    assert PGSQL.read([line(NOTES)]).why == "the node does not say what it has counted"


def test_no_more_is_kept_than_a_manifest_has_room_for() -> None:
    there = [line(Table("shop", f"t{number}", 1)) for number in range(MOST + 5)]
    told = PGSQL.read([f"tables\t{MOST + 5}", *there, "end"])
    assert (len(told.tables), told.left) == (MOST, 5)


@pytest.mark.parametrize("engine", TABLES.values(), ids=TABLES)
def test_restored_data_that_are_the_same_pass(engine: Tallying) -> None:
    result = compared(engine, KEPT, NOTES, ORDERS, Table("shop", "public.queue", 7))
    assert (result.passed, result.found, result.message) == (True, "2 tables, 13 rows, 1 checksums", "")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Table("shop", "public.orders", 9, "42"), "shop.public.orders has 9 rows in place of 10"),
        (
            Table("shop", "public.orders", 10, "43"),
            "shop.public.orders has other rows than it had: its checksum is another",
        ),
        (Table("else", "public.orders", 10, "42"), "shop.public.orders is not there, or cannot be counted"),
    ],
)
@pytest.mark.parametrize("engine", TABLES.values(), ids=TABLES)
def test_what_is_otherwise_is_told_by_its_table(engine: Tallying, found: Table, words: str) -> None:
    result = compared(engine, KEPT, found, NOTES)
    assert (result.passed, result.message) == (False, words)


def test_a_table_that_was_too_large_for_a_checksum_this_time_is_held_against_its_rows() -> None:
    assert compared(PGSQL, KEPT, Table("shop", "public.orders", 10), NOTES).passed


def test_of_many_tables_the_first_are_named() -> None:
    kept = Tally(tuple(Table("shop", f"t{number}", 1) for number in range(9)))
    message = compared(PGSQL, kept).message
    assert (message.count("is not there"), message.endswith("; and 4 more")) == (5, True)
    assert "\n" not in message


def test_where_nothing_was_counted_nothing_is_held_against_it_and_that_is_told() -> None:
    for kept, words in (
        (Tally(why="the log is gone"), "nothing: the log is gone"),
        (Tally(changed=4), "nothing: 4 of its tables were written to meanwhile"),
        (Tally(), "nothing: there was no table"),
    ):
        result = compared(PGSQL, kept)
        assert (result.passed, result.found) == (True, words)


def test_a_count_that_fails_on_restored_data_fails_the_check() -> None:
    bad = Result(code=2, stderr="psql: error: connection refused\n")
    result = ScriptedHost(hold_the_rows=bad).drive(PGSQL.compare(NODE, KEPT))
    assert (result.passed, result.message) == (False, "psql: error: connection refused")


SUM = "ab" * 32
SNAPSHOT = Tally((Table("0", "", 10, mortal=2), Table("3", "", 1)), digest=SUM)


def test_redis_s_keys_count_where_nothing_was_written_since_the_snapshot() -> None:
    said = ["keys db0:keys=10,expires=2,avg_ttl=0", "keys db3:keys=1,expires=0,avg_ttl=0", "changes 0", f"digest {SUM}"]
    assert REDIS.read(said) == SNAPSHOT
    busy = REDIS.read([*said[:2], "changes 7", said[3]])
    assert (busy.tables, busy.digest) == ((), SUM)
    assert busy.why == "7 changes came after the snapshot, before its keys could be counted"
    assert REDIS.read([]).why == "the server does not say whether its keys are those of the snapshot"


@pytest.mark.parametrize(
    ("keyspace", "digest", "words"),
    [
        ("db0:keys=10,expires=2\r\ndb3:keys=1,expires=0\r\n", SUM, ""),
        ("db0:keys=8,expires=0\r\ndb3:keys=1,expires=0\r\n", SUM, ""),
        ("db0:keys=7,expires=0\r\ndb3:keys=1,expires=0\r\n", SUM, "database 0 has 7 rows in place of 10"),
        ("db0:keys=11,expires=0\r\ndb3:keys=1,expires=0\r\n", SUM, "database 0 has 11 rows in place of 10"),
        ("db0:keys=10,expires=0\r\n", SUM, "database 3 has 0 rows in place of 1"),
        ("db0:keys=10,expires=0\r\ndb3:keys=1,expires=0\r\n", "cd" * 32, "its SHA-256 is another"),
        ("db0:keys=10,expires=0\r\ndb3:keys=1,expires=0\r\n", "", ""),
    ],
)
def test_keys_with_a_time_to_live_may_have_ended_since_and_no_others(keyspace: str, digest: str, words: str) -> None:
    host = ScriptedHost(
        see_how_many_keys=f"11 2 {digest}\n", count_the_keys=f"loading:0\r\n{keyspace}", hold_the_keys=keyspace
    )
    result = host.drive(REDIS.compare(NODE, SNAPSHOT))
    assert (result.passed, words in result.message) == (not words, True), result
    assert result.found == "11 keys of 2 databases, and the sum of the snapshot"


def test_a_busy_redis_is_still_held_against_the_sum_of_its_snapshot() -> None:
    host = ScriptedHost(see_how_many_keys=f"11 2 {'cd' * 32}\n", count_the_keys="loading:0\r\n", hold_the_keys="")
    result = host.drive(REDIS.compare(NODE, Tally(digest=SUM, why="7 changes came after the snapshot")))
    assert (result.passed, result.found) == (False, "7 changes came after the snapshot, and the sum of the snapshot")


Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs what goes before a stream and after it, with programs of the test's own; what is said comes back as standard output."""

    def put(name: str, text: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)

    def run(engine: Tallying, stream: str = "sleep 0.3", **programs: str) -> subprocess.CompletedProcess[str]:
        put("setpriv", 'while [[ $1 == --* ]]; do shift; done; exec "$@"')
        for name, text in programs.items():
            put(name, text)
        script = f"set -euo pipefail\nexec 7>&1\ndump() (\n{engine.begins(NODE)}(\n{stream}\n)\n{engine.ends(NODE)})\ndump >&2\n"
        script = script.replace("/usr/lib/postgresql/15/bin/", f"{tmp_path}/").replace("-p /run", f"-p {tmp_path}")
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60,
                              env={"PATH": f"{tmp_path}:/usr/bin:/bin"})  # fmt: skip

    return run


def said(engine: Tallying, done: subprocess.CompletedProcess[str]) -> Tally:
    return engine.read([one.removeprefix("say ") for one in done.stdout.split("\n") if one.startswith("say ")])


# Answers by what it is asked; statements that it has made itself come back to it.
MYSQL_CLIENT = r"""asked=$(cat)
case $asked in
*"SELECT UNIX_TIMESTAMP()"*) echo 1000;;
*"SELECT CONCAT('changed'"*) [[ $asked == *'>= 1000;'* ]] && printf 'changed\t61/63\n';;
*"SELECT 'tables'"*) printf 'tables\t4\n';;
*'SELECT CONCAT("SELECT '*) echo 'made of the names of tables';;
*"made of the names of tables"*) [[ $asked == *max_statement_time* ]] || exit 9
  printf 'table\t61\t62\t3\na.b\t77\ntable\t61\t63\t5\na.c\t78\ntable\t61\t64\t9\ntable\t61\t65\t1\na.e\tNULL\n'; exit 1;;
*) exit 8;;
esac"""


def test_mariadb_s_tables_say_themselves_whether_something_was_committed_to_them(shell: Shell) -> None:
    done = shell(MYSQL, mysql=MYSQL_CLIENT)
    assert (done.returncode, done.stderr) == (0, "")
    assert said(MYSQL, done) == Tally((Table("a", "b", 3, "77"), Table("a", "d", 9), Table("a", "e", 1)), changed=1)


@pytest.mark.parametrize(("engine", "programs", "why"), [
    (MYSQL, {"mysql": "echo 'ERROR 2002: the server is gone' >&2; exit 1"}, "ERROR 2002: the server is gone"),
    (MYSQL, {"mysql": "cat >/dev/null; echo NULL"}, "the server does not say what time it is"),
    (PGSQL, {"psql": "cat > /dev/null; echo 'psql: error: no server' >&2; exit 2"}, "psql: error: no server"),
])  # fmt: skip
def test_what_goes_wrong_fails_no_backup_and_is_why_nothing_was_counted(
    shell: Shell, tmp_path: Path, engine: Tallying, programs: dict[str, str], why: str
) -> None:
    done = shell(engine, **programs)
    assert done.returncode == 0, done.stderr
    assert said(engine, done) == Tally(why=why)
    assert not list(tmp_path.glob("dtrove-tally.*"))


def test_a_stream_that_fails_fails_as_before_and_leaves_nothing_behind(shell: Shell, tmp_path: Path) -> None:
    done = shell(MYSQL, "echo torn >&2; exit 3", mysql=MYSQL_CLIENT)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "torn\n")
    assert not list(tmp_path.glob("dtrove-tally.*"))


def test_no_password_is_in_what_a_redis_is_compared_by_but_on_standard_input() -> None:
    host = ScriptedHost(see_how_many_keys="1 0\n", count_the_keys="loading:0\r\n")
    host.drive(REDIS.compare(NODE, SNAPSHOT))
    assert not any("words" in one.script for one in host.commands if isinstance(one, Job))
    assert "words" not in host.lines
