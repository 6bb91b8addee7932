"""What an export asks of a node, what it prints, and what the line that restores it does."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.exporting import Exporting, counted
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.datastores.redis.manager import RedisManager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.export import Choice
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed
from shared.contracts.exports import FORMATS, ExportedTable
from shared.errors import Failure
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

NODE = Instance(id="n", cluster_id="c", name="shop-1", addr="10.0.0.1", ram_mb=2048, data_dir="/data", admin_user="dtrove",
                admin_password=Secret("it's \"odd\""))  # fmt: skip
ODD = 'it\'s; $(touch x) `y` "z" = -é'


def exporting(manager: type[BaseManager], version: str, **changes: list[str]) -> Exporting:
    made = manager(Datastore(id="d", manager_class="x", manager="x", version=version, image="", **changes)).exporting  # type: ignore[arg-type]
    assert made is not None
    return made


PGSQL, MYSQL, REDIS = exporting(PostgresManager, "15"), exporting(MySQLManager, "10.11"), exporting(RedisManager, "7.0")
ALL = {"pgsql": PGSQL, "mysql": MYSQL, "redis": REDIS}


def choices() -> list[tuple[str, Choice]]:
    """Each engine in each of its formats."""
    return [(engine, Choice(format_, ("3",) if format_ == "jsonl" else ("shop",) if format_ != "rdb" else ()))
            for engine, formats in FORMATS.items() for format_ in formats]  # fmt: skip


class Node:
    """A place with programs of the test's own, in which what an export sends is run as the pipeline runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        self.calls = folder / "calls"
        self.program("setpriv", 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"')

    def program(self, name: str, body: str) -> None:
        """A program of this name, which writes down how it was called."""
        path = self.bin / name
        path.write_text(
            f"#!/bin/bash\nprintf '%s\\n' {name} \"$@\" \"PGDATABASE=$PGDATABASE\" '' >> {self.calls}\n{body}\n"
        )
        path.chmod(0o755)

    def run(self, dump: str, login: str = "") -> tuple[int, str, list[str], str]:
        """What it ends with, prints, and says to the descriptor 7, and its errors."""
        said = self.folder / "said"
        script = f"set -euo pipefail\nlogin=$1\nexec 7> {said}\ndump() (\ncd /\n{dump}\n)\ndump\n"
        path = f"{self.bin}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-c", script, "bash", login], capture_output=True, text=True, check=False,
                              env={"PATH": path}, timeout=60)  # fmt: skip
        return done.returncode, done.stdout, said.read_text().splitlines(), done.stderr


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_mysql_s_own_server_has_no_export_here() -> None:
    own = Datastore(id="d", manager_class="x", manager="x", version="8.0", image="", packages=["mysql-server-8.0"])
    assert MySQLManager(own).exporting is None


@pytest.mark.parametrize(("engine", "choice"), choices())
def test_what_is_sent_and_what_restores_it_is_good_bash(engine: str, choice: Choice) -> None:
    made = ALL[engine]
    for text in (made.sends(NODE, choice, choice.databases or ("0",)), made.restore(choice)):
        subprocess.run(["bash", "-n", "-c", text], check=True)


@pytest.mark.parametrize("engine", ["pgsql", "mysql"])
def test_a_database_that_is_not_there_is_named_with_those_that_are(engine: str) -> None:
    host = ScriptedHost(see_what_databases='{"database": "a"}\n{"database" : "b c"}\n')
    assert host.drive(ALL[engine].databases(NODE, Choice("sql"))) == ["a", "b c"]
    assert host.drive(ALL[engine].databases(NODE, Choice("sql", ("b c",)))) == ["b c"]
    with pytest.raises(Failure, match="no database 'x'") as raised:
        host.drive(ALL[engine].databases(NODE, Choice("sql", ("x",))))
    assert raised.value.what_to_do == "choose of a, b c"


@pytest.mark.parametrize("engine", ["pgsql", "mysql"])
def test_nothing_at_all_and_an_answer_that_is_none_are_told_of(engine: str) -> None:
    with pytest.raises(Failure, match="no database to export"):
        ScriptedHost(see_what_databases="").drive(ALL[engine].databases(NODE, Choice("sql")))
    with pytest.raises(CommandFailed, match="does not say what databases"):
        ScriptedHost(see_what_databases="ERROR\n").drive(ALL[engine].databases(NODE, Choice("sql")))


def test_redis_has_the_databases_that_have_keys() -> None:
    host = ScriptedHost(see_what_databases="OK\r\n# Keyspace\r\ndb0:keys=5,expires=0\r\ndb12:keys=1,expires=1\r\n")
    assert host.drive(REDIS.databases(NODE, Choice("rdb"))) == ["0", "12"]
    assert host.drive(REDIS.databases(NODE, Choice("jsonl", ("7",)))) == ["7"]
    assert ScriptedHost(see_what_databases="OK\n").drive(REDIS.databases(NODE, Choice("rdb"))) == ["0"]


def test_what_was_counted_is_read_and_anything_else_is_refused() -> None:
    assert counted(['{"database": "a", "table": "b", "rows": 3}']) == [ExportedTable(database="a", table="b", rows=3)]
    for bad in ("x", '{"database": "a"}', "[]"):
        with pytest.raises(CommandFailed):
            counted([bad])


PSQL = r"""
while IFS= read -r line; do case $line in
  *pg_export_snapshot*) echo "0000-$PGDATABASE";;
  *json_build_object*) echo '{"database" : "'"$PGDATABASE"'", "table" : "public.t", "rows" : 3}';;
  "SELECT '';") echo;;
esac; done
"""


def postgres(node: Node, dump: str) -> str:
    """What is sent, with programs of the test's own in place of the engine's."""
    node.program("psql", PSQL)
    node.program("pg_dump", dump)
    return "".join(PGSQL.sends(NODE, Choice("sql"), ("postgres", ODD)).replace("/usr/lib/postgresql/15/bin/", ""))


def test_each_database_of_postgresql_is_dumped_in_the_snapshot_that_is_counted_in(node: Node) -> None:
    code, out, said, err = node.run(postgres(node, 'echo "dump of $PGDATABASE"'))
    assert (code, err) == (0, "")
    assert out == f"\\connect postgres\ndump of postgres\ndump of {ODD}\n"
    assert [line.partition(" ")[0] for line in said] == ["say", "say"]
    assert json.loads(said[0].removeprefix("say "))["database"] == "postgres"
    dumps = [call.split("\n") for call in node.calls.read_text().split("\n\n") if call.startswith("pg_dump\n")]
    assert [next(word for word in call if word.startswith("--snapshot=")) for call in dumps] == [
        "--snapshot=0000-postgres", f"--snapshot=0000-{ODD}",
    ]  # fmt: skip
    assert ["-C" in call for call in dumps] == [False, True]
    assert all("--no-owner" in call and "--no-privileges" in call for call in dumps)


def test_a_dump_that_fails_fails_the_whole_and_so_does_a_database_that_nobody_can_look_at(node: Node) -> None:
    code, _, said, err = node.run(postgres(node, "echo no such table >&2; exit 1"))
    assert (code != 0, said, "no such table" in err) == (True, [], True)
    dump = postgres(node, "echo all")
    node.program("psql", "exit 2")
    code, out, _, err = node.run(dump)
    assert (code != 0, out, "cannot be looked at" in err) == (True, "", True)


def test_a_session_that_ends_while_it_counts_fails_the_export(node: Node) -> None:
    dump = postgres(node, "echo all")
    node.program("psql", PSQL.replace("*json_build_object*) echo", "*json_build_object*) exit 3; echo"))
    assert node.run(dump)[0] != 0


def test_tables_of_postgresql_are_names_and_never_patterns(node: Node) -> None:
    tables = ("orders", 'sales."odd" * table', "a.b.c")
    dump = PGSQL.sends(NODE, Choice("custom", (ODD,), tables), (ODD,)).replace("/usr/lib/postgresql/15/bin/", "")
    node.program("psql", PSQL)
    node.program("pg_dump", "")
    assert node.run(dump)[0] == 0
    (call,) = [call.split("\n") for call in node.calls.read_text().split("\n\n") if call.startswith("pg_dump\n")]
    chosen = [call[place + 1] for place, word in enumerate(call) if word == "-t"]
    assert chosen == ['"public"."orders"', '"sales"."""odd"" * table"', '"a"."b.c"']
    assert ("--strict-names" in call, "-C" in call) == (True, False)
    assert f"PGDATABASE={ODD}" in call


def test_mariadb_s_rows_are_counted_by_statements_of_its_own_and_names_are_arguments(node: Node) -> None:
    node.program(
        "mysql", "input=$(cat); case $input in *CONCAT*) echo 'SELECT counted;';; *) echo '{\"rows\": 1}';; esac"
    )
    node.program("mariadb-dump", "echo dump")
    code, out, said, err = node.run(MYSQL.sends(NODE, Choice("sql"), (ODD, "-b")))
    assert (code, out, said, err) == (0, "dump\n", ['say {"rows": 1}'], "")
    (call,) = [call.split("\n") for call in node.calls.read_text().split("\n\n") if call.startswith("mariadb-dump\n")]
    assert call[call.index("--") + 1 : -1] == [ODD, "-b"]
    assert "--databases" in call
    assert {"--single-transaction", "--routines", "--events", "--triggers"} < set(call)
    node.program("mariadb-dump", "exit 6")
    assert node.run(MYSQL.sends(NODE, Choice("sql"), ("a",)))[0] == 6


def test_some_tables_of_mariadb_are_sent_without_what_creates_their_database() -> None:
    choice = Choice("sql", (ODD,), ("orders",))
    assert "--databases" not in MYSQL.sends(NODE, choice, (ODD,))
    assert MYSQL.restore(choice).startswith("mariadb -D ")
    assert MYSQL.restore(Choice("sql")) == "mariadb"


REDIS_CLI = r"""
while IFS= read -r line; do case $line in
  AUTH*|SELECT*) echo OK;;
  DBSIZE) echo 2;;
  EVAL*" 0 0 200 "*) echo 17; echo '{"one": 1}';;
  EVAL*" 0 17 200 "*) echo 0; echo '{"two": 2}'; echo '{"three": 3}';;
  *) echo "ERR unknown";;
esac; done
"""


def test_keys_of_redis_are_asked_for_until_the_last_and_only_lines_of_json_are_sent(node: Node) -> None:
    node.program("redis-cli", REDIS_CLI)
    code, out, said, err = node.run(REDIS.sends(NODE, Choice("jsonl"), ("0", "3")), "AUTH a b")
    assert (code, err) == (0, "")
    assert out.splitlines() == ['{"one": 1}', '{"two": 2}', '{"three": 3}'] * 2
    assert [json.loads(line.removeprefix("say ")) for line in said] == [
        {"database": name, "table": "", "rows": 2} for name in ("0", "3")
    ]


@pytest.mark.parametrize(
    "answers",
    ["AUTH*) echo WRONGPASS;; *) echo OK;;", "AUTH*|SELECT*) echo OK;; DBSIZE) echo 1;; *) echo ERR a stream;;"],
)
def test_a_redis_that_refuses_fails_the_export_with_its_own_words(node: Node, answers: str) -> None:
    node.program("redis-cli", f"while IFS= read -r line; do case $line in {answers} esac; done")
    code, out, _, err = node.run(REDIS.sends(NODE, Choice("jsonl"), ("0",)), "AUTH a b")
    assert (code != 0, out) == (True, "")
    assert "Redis does not give its keys" in err


def test_a_snapshot_of_redis_is_the_file_as_it_was_when_it_was_whole(node: Node, tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "dump.rdb").write_bytes(b"REDIS0010...")
    node.program("redis-cli", r"""while read -r line; do case $line in
      AUTH*) echo OK;; BGSAVE) echo 'Background saving started';;
      *persistence*) printf 'rdb_bgsave_in_progress:0\r\nrdb_last_bgsave_status:ok\r\n';;
      *keyspace*) printf '# Keyspace\r\ndb0:keys=5,expires=0,avg_ttl=0\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n';;
    esac; done""")  # fmt: skip
    place = replace(NODE, data_dir=str(tmp_path))
    code, out, said, err = node.run(REDIS.sends(place, Choice("rdb"), ("0", "3")), "AUTH a b")
    assert (code, out, err) == (0, "REDIS0010...", "")
    assert [json.loads(line.removeprefix("say "))["rows"] for line in said] == [5, 1]


def test_lines_of_json_become_the_commands_that_redis_takes(node: Node) -> None:
    node.program("redis-cli", "cat")
    lines = [
        {"db": 3, "key": "k", "type": "hash", "expires_at_ms": None, "base64": False, "value": ["é", "v\r\n"]},
        {"db": 0, "key": "/wA=", "type": "string", "expires_at_ms": 1796040000123, "base64": True, "value": ["gA=="]},
    ]
    given = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run(["bash", "-c", REDIS.restore(Choice("jsonl"))], input=given.encode(), capture_output=True, check=True,
                          env={"PATH": f"{node.bin}:{os.environ['PATH']}"})  # fmt: skip
    assert done.stdout == (
        b"*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*4\r\n$4\r\nHSET\r\n$1\r\nk\r\n$2\r\n\xc3\xa9\r\n$3\r\nv\r\n\r\n"
        b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$2\r\n\xff\x00\r\n$1\r\n\x80\r\n"
        b"*3\r\n$9\r\nPEXPIREAT\r\n$2\r\n\xff\x00\r\n$13\r\n1796040000123\r\n"
    )


@pytest.mark.parametrize(("choice", "line"), [
    (Choice("sql"), "psql -qX -v ON_ERROR_STOP=1 -d dbname=postgres"),
    (Choice("custom", ("shop",)), "pg_restore --exit-on-error --create -d dbname=postgres"),
    (Choice("custom", ("postgres",)), "pg_restore --exit-on-error -d dbname=postgres"),
    (Choice("custom", ("shop",), ("t",)), "pg_restore --exit-on-error -d 'dbname='\"'\"'shop'\"'\"''"),
])  # fmt: skip
def test_postgresql_s_own_tools_read_it(choice: Choice, line: str) -> None:
    assert PGSQL.restore(choice) == line
