"""What an engine is asked of restored data, and what is believed of its answers."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.proving import Proving
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.datastores.redis.manager import RedisManager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Job, Result
from shared.contracts.backups import CheckResult, ProofCheck
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

NODE = Instance(id="n", cluster_id="c", name="proof-1", addr="10.0.0.1", ram_mb=2048, data_dir="/data", admin_user="dtrove",
                admin_password=Secret("it's \"odd\""))  # fmt: skip
CHECK = ProofCheck(name="orders", sql="SELECT 'a''b' -- why", database="the 'shop'", expect=" 7\n")


def proving(manager: type[BaseManager], version: str, **changes: Any) -> Proving:
    made = manager(Datastore(id="d", manager_class="x", manager="x", version=version, image="", **changes)).proving
    assert made is not None
    return made


PGSQL, MYSQL, REDIS = proving(PostgresManager, "15"), proving(MySQLManager, "10.11"), proving(RedisManager, "7.0")
SQL = {"pgsql": PGSQL, "mysql": MYSQL}


def well(**answers: Any) -> ScriptedHost:
    return ScriptedHost(**answers, **{"": lambda command: Result(stdout=getattr(command, "sample", ""))})


def passed(results: list[CheckResult]) -> dict[str, bool]:
    return {one.name: one.passed for one in results}


@pytest.mark.parametrize(("engine", "names"), [
    (PGSQL, ["readable", "indexes", "counted", "orders"]), (MYSQL, ["readable", "counted", "orders"]),
    (REDIS, ["readable", "orders"]),
])  # fmt: skip
def test_each_engine_reads_all_counts_it_and_is_asked_what_its_user_wants_to_know(
    engine: Proving, names: list[str]
) -> None:
    counts, results = well().drive(engine.prove(NODE, [CHECK]))
    assert counts
    assert passed(results) == dict.fromkeys(names, True)
    assert [one.name for one in results] == names


def test_what_does_not_pass_keeps_nothing_from_being_asked_and_says_why() -> None:
    torn = Result(code=1, stderr="pg_dump: error: invalid page in block 7\n")
    counts, results = well(read_every_row=torn).drive(PGSQL.prove(NODE, [CHECK]))
    assert (counts["databases"], passed(results)["readable"], passed(results)["orders"]) == (1, False, True)
    assert results[0].message == "pg_dump: error: invalid page in block 7"
    _, (whole, *_) = well(check_every=Result(code=3)).drive(MYSQL.prove(NODE, []))
    assert whole.message == "it ended with code 3"


@pytest.mark.parametrize(("answer", "well_answered", "words"), [
    (Result(stdout="7\n"), True, ""), (Result(stdout="8\n"), False, "'7' was expected"),
    (Result(code=3, stderr="ERROR: no such table\n"), False, "ERROR: no such table"),
])  # fmt: skip
@pytest.mark.parametrize("engine", SQL.values(), ids=SQL)
def test_an_answer_is_held_against_what_was_expected(
    engine: Proving, answer: Result, well_answered: bool, words: str
) -> None:
    result = ScriptedHost(ask_orders=answer).drive(engine.ask(NODE, "check-1", CHECK))
    assert (result.passed, result.message) == (well_answered, words)


@pytest.mark.parametrize("engine", SQL.values(), ids=SQL)
def test_a_statement_goes_by_standard_input_and_a_login_in_no_command(engine: Proving) -> None:
    host = well()
    host.drive(engine.ask(NODE, "check-1", CHECK))
    (job,) = host.commands
    assert isinstance(job, Job)
    assert CHECK.sql not in job.script
    assert "odd" not in job.script
    given = job.stdin.reveal() if isinstance(job.stdin, Secret) else str(job.stdin)
    assert given.endswith(f"{CHECK.sql}\n;\n"), "a remark at its end hides no end of the statement"


@pytest.mark.parametrize(("said", "well_answered", "found"), [
    ("OK\nOK\n7\n", True, "7"), ("OK\nOK\nWRONGTYPE Operation against a key\n", False, "WRONGTYPE Operation against a key"),
    ("OK\nERR DB index is out of range\n7\n", False, "7"), ("WRONGPASS invalid\n", False, ""), ("OK\nOK\nfive\nlines\n", False, "five\nlines"),
])  # fmt: skip
def test_redis_says_of_an_error_no_more_than_its_words(said: str, well_answered: bool, found: str) -> None:
    host = ScriptedHost(ask_orders=said)
    result = host.drive(REDIS.ask(NODE, "check-1", CHECK))
    assert (result.passed, result.found) == (well_answered, found)
    assert result.passed or result.message


def test_a_check_that_expects_nothing_is_passed_by_any_answer_but_an_error() -> None:
    any_answer = ProofCheck(name="orders", sql="GET orders")
    assert ScriptedHost(ask_orders="OK\nOK\n\n").drive(REDIS.ask(NODE, "x", any_answer)).passed
    assert ScriptedHost(ask_orders="12\n").drive(PGSQL.ask(NODE, "x", any_answer)).passed


def test_keys_are_held_against_the_snapshot_s_own_count() -> None:
    host = well(see_how_many_keys="5 1\n", count_the_keys="loading:0\r\ndb0:keys=3,expires=0\r\n")
    counts, (result,) = host.drive(REDIS.prove(NODE, []))
    assert (counts, result.passed) == ({"keys": 3}, False)
    assert result.found == "3 of 5 keys, of which 1 had a time to live"


Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs the job of a title, as its node would, with programs of the test's own."""

    def put(name: str, text: str) -> None:
        place = tmp_path / name
        place.write_text(f"#!/bin/bash\n{text}\n")
        place.chmod(place.stat().st_mode | stat.S_IXUSR)

    def run(script: Any, title: str, **programs: str) -> subprocess.CompletedProcess[str]:
        host = well()
        host.drive(script)
        (job,) = [one for one in host.commands if isinstance(one, Job) and one.title == title]
        put("setpriv", 'while [[ $1 == --* ]]; do shift; done; exec "$@"')
        put("chown", "true")
        for name, text in programs.items():
            put(name, text)
        text = job.script.replace("/usr/lib/postgresql/15/bin/", f"{tmp_path}/").replace("-p /run", f"-p {tmp_path}")
        (tmp_path / "cmd").write_text(text)
        given = job.stdin.reveal() if isinstance(job.stdin, Secret) else job.stdin
        return subprocess.run(["sh", str(tmp_path / "cmd")], input=given, capture_output=True, text=True, check=False,
                              env={"PATH": f"{tmp_path}:/usr/bin:/bin"})  # fmt: skip

    return run


PSQL = r"""case " $* " in *" -0 "*) printf 'shop\0we\nird\0';; *) said=$(cat); [[ $said == *query_to_xml* ]] || exit 9
  case $PGDATABASE in shop) echo '2 10';; $'we\nird') echo '1 5';; *) exit 8;; esac;; esac"""


def test_rows_are_counted_in_each_database_whatever_its_name(shell: Shell) -> None:
    done = shell(PGSQL.look(NODE), "count what was restored", psql=PSQL)
    assert (done.returncode, done.stdout) == (0, "databases 2\ntables 3\nrows 15\n"), done.stderr
    done = shell(PGSQL.look(NODE), "count what was restored", psql="exit 2")
    assert (done.returncode, done.stdout) == (2, "")


def test_an_index_that_does_not_fit_its_table_is_told_and_an_old_version_without_the_tool_is_not_blamed(
    shell: Shell,
) -> None:
    title = "hold every index against its table"
    assert shell(PGSQL.look(NODE), title).returncode == 0
    done = shell(PGSQL.look(NODE), title, pg_amcheck="echo 'btree index is torn'; exit 2")
    assert (done.returncode, done.stdout) == (2, "btree index is torn\n")


# The first client prints statements, the second one what they come to.
MYSQL_CLIENT = r"""said=$(cat)
case $said in
*information_schema.TABLES*) [[ $said == *"CONCAT('\`', REPLACE"* ]] || exit 9
  [[ $said == *"SELECT CONCAT('CHECK"* ]] && echo 'CHECK TABLE `a`.`b`; CHECKSUM TABLE `a`.`b` EXTENDED;'
  [[ $said == *"SELECT CONCAT('SELECT COUNT"* ]] && printf 'SELECT COUNT(*) FROM `a`.`%s`;\n' b c; true;;
*SCHEMATA*) echo 'databases 1';;
*CHECKSUM*) printf 'a.b\tcheck\tstatus\tOK\na.b\t42\n';;
*COUNT*) printf '3000000000\n4\n';;
*) exit 7;;
esac"""


def test_every_table_of_mariadb_is_checked_read_and_counted(shell: Shell) -> None:
    read = "check every table, and read every row"
    done = shell(MYSQL.look(NODE), read, mysql=MYSQL_CLIENT)
    assert (done.returncode, done.stderr) == (0, "")
    for bad in (r"a.b\tcheck\terror\tCorrupt", r"a.b\tNULL"):
        done = shell(MYSQL.look(NODE), read, mysql=MYSQL_CLIENT.replace(r"a.b\t42", bad))
        assert (done.returncode, "a.b" in done.stderr) == (1, True)
    assert shell(MYSQL.look(NODE), read, mysql="exit 1").returncode == 1
    done = shell(MYSQL.look(NODE), "count what was restored", mysql=MYSQL_CLIENT)
    assert (done.returncode, done.stdout) == (0, "databases 1\ntables 2\nrows 3000000004\n"), done.stderr


def test_mariadb_is_asked_as_its_administrator_by_a_file_that_is_gone_afterwards(shell: Shell, tmp_path: Path) -> None:
    client = 'file=${1#*=}; cat "$file"; shift; printf "<%s>" "$@"; echo; cat'
    done = shell(MYSQL.ask(NODE, "check-1", CHECK), "ask orders", mysql=client)
    lines = done.stdout.splitlines()
    assert lines[:3] == ["[client]", 'user="dtrove"', 'password="it\'s \\"odd\\""']
    assert lines[3].endswith("<-D><the 'shop'>")
    assert lines[4:] == [CHECK.sql, ";"]
    assert not list(tmp_path.glob("tmp.*"))


def test_postgresql_is_asked_in_the_database_of_the_user_s_choice(shell: Shell) -> None:
    done = shell(PGSQL.ask(NODE, "check-1", CHECK), "ask orders", psql='echo "$PGDATABASE"; cat')
    assert done.stdout.splitlines() == ["the 'shop'", CHECK.sql, ";"]
