"""What an import asks of a node, how it loads what others have exported, and what it takes away again."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.importing import Importing
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.datastores.redis.importing import _COPY
from services.datastore_agentless.datastores.redis.manager import RedisManager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.importing import Contents, Import, State
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run
from services.datastore_agentless.workflows.import_facts import facts
from shared.contracts.exports import ExportedTable
from shared.errors import Conflict
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

ODD = 'it\'s; $(touch x) `y` "z" = -é'
PASSWORD = 'it\'s "odd"'


def importing(manager: type[BaseManager], version: str) -> Importing:
    made = manager(Datastore(id="d", manager_class="x", manager="x", version=version, image="")).importing
    assert made is not None
    return made


PGSQL, MYSQL, REDIS = importing(PostgresManager, "15"), importing(MySQLManager, "10.11"), importing(RedisManager, "7.0")
ORDERS = ExportedTable(database=ODD, table="public.orders", rows=3)
FIRST = ExportedTable(database="postgres", table="public.t", rows=1)
CONTENTS = [
    (PGSQL, Contents("sql", (ODD,), counted=(ORDERS,))), (PGSQL, Contents("sql", ("postgres", ODD), counted=(FIRST, ORDERS))),
    (PGSQL, Contents("sql", ("postgres",), counted=(FIRST,))), (PGSQL, Contents("custom", (ODD,))),
    (PGSQL, Contents("custom", ("postgres",))), (PGSQL, Contents("sql", (ODD,), ("orders", "a.b"))),
    (MYSQL, Contents("sql", (ODD, "-b"))), (MYSQL, Contents("sql", (ODD,), ("orders",))),
    (REDIS, Contents("jsonl", ("0", "3"))), (REDIS, Contents("rdb", ("0", "20"))),
]  # fmt: skip


class Node:
    """A place with programs of the test's own, in which what an import loads is run as the pipeline runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin, self.calls = folder, folder / "bin", folder / "calls"
        self.bin.mkdir()
        (folder / "data").mkdir()
        self.instance = Instance(id="n", cluster_id="c", name="shop-1", addr="10.0.0.1", data_dir=str(folder / "data"),
                                 admin_user="dtrove", admin_password=Secret(PASSWORD))  # fmt: skip
        self.program("setpriv", 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"')
        self.program("chown", "")

    def program(self, name: str, body: str) -> None:
        """A program of this name, which writes down how it was called."""
        path = self.bin / name
        path.write_text(
            f"#!/bin/bash\nprintf '%s\\n' {name} \"$@\" \"PGDATABASE=$PGDATABASE\" '' >> {self.calls}\n{body}\n"
        )
        path.chmod(0o755)

    def called(self, name: str) -> list[list[str]]:
        """How it was called."""
        text = self.calls.read_text() if self.calls.exists() else ""
        return [call.split("\n")[1:-1] for call in text.split("\n\n") if call.startswith(f"{name}\n")]

    def load(self, engine: Importing, contents: Contents, stream: str) -> tuple[int, list[str], str]:
        """What it ends with, and says to the descriptor 4, and its errors."""
        said, lines = self.folder / "said", engine.loads(self.instance, contents, "i")
        script = (f"set -euo pipefail\nlogin=$1\nexec 4> {said}\nload() (\ncd /\n{lines}\n)\n"
                  f"cat {self.folder}/stream | {{ load 1; cat > /dev/null; }}\n")  # fmt: skip
        (self.folder / "stream").write_text(stream)
        script = script.replace("/usr/lib/postgresql/15/bin/", "")
        done = subprocess.run(["bash", "-c", script, "bash", engine.login(self.instance).reveal()], capture_output=True, text=True,
                              check=False, env={"PATH": f"{self.bin}:{os.environ['PATH']}"}, timeout=60)  # fmt: skip
        return done.returncode, said.read_text().splitlines(), done.stderr

    @property
    def marks(self) -> list[Path]:
        """What says that an import has begun to make something."""
        return list(self.folder.rglob("*.import-i"))


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_mysql_s_own_server_takes_no_import_here() -> None:
    own = Datastore(id="d", manager_class="x", manager="x", version="8.0", image="", packages=["mysql-server-8.0"])
    assert MySQLManager(own).importing is None


@pytest.mark.parametrize(("engine", "contents"), CONTENTS)
def test_what_looks_and_what_loads_is_good_bash(engine: Importing, contents: Contents, node: Node) -> None:
    for text in (engine.sees(node.instance, contents), engine.loads(node.instance, contents, "i")):
        subprocess.run(["bash", "-n", "-c", text], check=True)


@pytest.mark.parametrize(("engine", "contents"), CONTENTS)
def test_no_secret_is_in_what_runs(engine: Importing, contents: Contents, node: Node) -> None:
    host = ScriptedHost()
    host.drive(engine.in_the_way(node.instance, contents))
    assert "odd" not in engine.loads(node.instance, contents, "i").replace("odd-", "")
    assert PASSWORD not in host.lines


def test_what_is_in_the_way_is_read_line_by_line(node: Node) -> None:
    host = ScriptedHost(see_what_is_in_the_way="database shop\ntable a b\n\n")
    assert host.drive(PGSQL.in_the_way(node.instance, CONTENTS[0][1])) == ["database shop", "table a b"]


PSQL = r"""
case " $* " in
  *" -f - "*) cat > {folder}/read; exit {code};;
  *) input=$(cat); case $input in
       *"SELECT 'database '"*|*"SELECT 'table '"*) printf '{seen}';;
       *json_build_object*) echo '{{"database" : "'"$PGDATABASE"'", "rows" : 3}}'; echo;;
     esac;;
esac
"""


def postgres(node: Node, seen: str = "", code: int = 0) -> None:
    node.program("psql", PSQL.format(folder=node.folder, seen=seen, code=code))
    node.program("pg_restore", f"cat > {node.folder}/read; exit {code}")


def test_databases_of_postgresql_are_made_by_the_stream_then_counted(node: Node) -> None:
    postgres(node)
    code, said, err = node.load(PGSQL, Contents("sql", ("postgres", ODD)), "\\connect postgres\nCREATE DATABASE x;\n")
    assert (code, err) == (0, "")
    assert (node.folder / "read").read_text() == "\\connect postgres\nCREATE DATABASE x;\n"
    assert [json.loads(line.removeprefix("say "))["database"] for line in said if "z" not in line] == ["postgres"]
    assert len(said) == 2
    loads = [call for call in node.called("psql") if "-f" in call]
    assert (len(loads), "-1" in loads[0]) == (1, False)
    assert len(node.marks) == 1


@pytest.mark.parametrize(("contents", "into"), [
    (Contents("sql", ("postgres",)), "dbname=postgres"), (Contents("sql", ("shop",), ("orders",)), "dbname='shop'"),
])  # fmt: skip
def test_what_makes_no_database_is_one_transaction(node: Node, contents: Contents, into: str) -> None:
    postgres(node)
    first = "" if contents.tables else "\\connect postgres\n"
    assert node.load(PGSQL, contents, f"{first}SELECT 1;\n")[0] == 0
    assert (node.folder / "read").read_text() == "SELECT 1;\n"
    (call,) = [call for call in node.called("psql") if "-f" in call]
    assert ("-1" in call, call[call.index("-d") + 1]) == (True, into)


@pytest.mark.parametrize(("contents", "how"), [
    (Contents("custom", ("shop",)), "--create"), (Contents("custom", ("postgres",)), "-1"), (Contents("custom", ("shop",), ("t",)), "-1"),
])  # fmt: skip
def test_the_custom_format_is_one_transaction_or_makes_its_database(node: Node, contents: Contents, how: str) -> None:
    postgres(node)
    assert node.load(PGSQL, contents, "PGDMP")[0] == 0
    (call,) = node.called("pg_restore")
    assert how in call
    assert {"--exit-on-error", "--no-owner", "--no-privileges"} < set(call)
    assert {"-1", "--create"} & set(call) == {how}


def test_what_is_there_by_now_is_not_touched_and_leaves_no_mark(node: Node) -> None:
    postgres(node, seen="database shop\\n")
    code, _, err = node.load(PGSQL, Contents("sql", ("shop",)), "x")
    assert (code != 0, err.strip(), node.marks) == (True, "it is there already: database shop", [])
    assert not (node.folder / "read").exists()


def test_a_stream_that_the_engine_refuses_fails_and_leaves_its_mark_for_whoever_clears(node: Node) -> None:
    postgres(node, code=3)
    assert node.load(PGSQL, Contents("sql", ("shop",)), "x")[0] == 3
    assert len(node.marks) == 1
    code, _, err = node.load(PGSQL, Contents("sql", ("shop",)), "x")
    assert (code != 0, "still there" in err) == (True, True)


def test_only_what_has_begun_is_taken_away(node: Node) -> None:
    contents = Contents("sql", ("postgres", "shop"))
    nothing = ScriptedHost()
    nothing.drive(PGSQL.clear(node.instance, contents, "i"))
    assert nothing.titles == ["see whether the import has begun"]
    begun = ScriptedHost(see_whether="yes\n", delete_database="yes\n")
    begun.drive(PGSQL.clear(node.instance, contents, "i"))
    assert begun.titles[1:] == ["delete database shop", "forget that the import has begun"]
    one = ScriptedHost(see_whether="yes\n")
    one.drive(PGSQL.clear(node.instance, Contents("sql", ("shop",), ("orders",)), "i"))
    assert one.titles[1:] == ["forget that the import has begun"]


def test_what_has_come_into_postgresql_belongs_to_its_database_s_roles(node: Node) -> None:
    host = ScriptedHost(see_database="yes\n")
    host.drive(PGSQL.settle(node.instance, Contents("sql", ("postgres", "shop"))))
    assert host.titles == ["make the roles of postgres", "hand over what has come into postgres", "create database shop",
                           "let the roles of shop do what they may", "see database shop", "hand over what has come into shop"]  # fmt: skip
    tables = ScriptedHost()
    tables.drive(PGSQL.settle(node.instance, Contents("sql", ("shop",), ("a.b",))))
    asked = tables.commands[-1]
    assert isinstance(asked, Run)
    assert "(s.nspname, c.relname) IN (('a', 'b'))" in str(asked.stdin)
    assert "IF NOT false" in str(asked.stdin)


def test_only_the_database_that_is_always_there_is_not_put_back() -> None:
    assert "postgres" in PGSQL.stays(Contents("sql", ("postgres", "shop")))
    for contents in (
        Contents("sql", ("postgres",)),
        Contents("sql", ("shop", "more")),
        Contents("sql", ("shop",), ("t",)),
    ):
        assert PGSQL.stays(contents) == ""
    assert "routines" in MYSQL.stays(Contents("sql", ("shop",), ("t",)))
    assert "keys that others write" in REDIS.stays(Contents("rdb", ("0",)))


def mariadb(node: Node, code: int = 0) -> None:
    node.program(
        "mysql",
        "input=$(cat); case $input in *CONCAT\\(\\'SELECT*) echo 'SELECT counted;';; *counted*) echo '{\"rows\": 1}';; esac",
    )
    node.program("mariadb", f"for one in \"$@\"; do case $one in --defaults-extra-file=*) cat \"${{one#*=}}\" > {node.folder}/login;; esac; done\n"
                            f"cat > {node.folder}/read; exit {code}")  # fmt: skip


def test_mariadb_reads_the_stream_as_the_administrator_and_not_as_root(node: Node) -> None:
    mariadb(node)
    code, said, err = node.load(MYSQL, Contents("sql", (ODD, "-b")), "CREATE DATABASE `x`;\n")
    assert (code, said, err) == (0, ['say {"rows": 1}'], "")
    assert (node.folder / "read").read_text() == "CREATE DATABASE `x`;\n"
    assert (node.folder / "login").read_text() == '[client]\nuser="dtrove"\npassword="it\'s \\"odd\\""\n'
    (call,) = node.called("mariadb")
    (as_whom,) = [call for call in node.called("setpriv") if "mariadb" in call]
    assert "--reuid=mysql" in as_whom
    file = Path(call[0].partition("=")[2])
    assert (file.parent, file.exists()) == (Path("/run"), False)
    assert "-D" not in call


def test_a_stream_that_mariadb_refuses_leaves_no_password_behind(node: Node) -> None:
    mariadb(node, code=1)
    assert node.load(MYSQL, Contents("sql", (ODD,), ("orders",)), "x")[0] == 1
    (call,) = node.called("mariadb")
    assert (call[call.index("-D") + 1], Path(call[0].partition("=")[2]).exists()) == (ODD, False)


def test_tables_of_mariadb_go_again_and_databases_whole(node: Node) -> None:
    tables = ScriptedHost(see_whether="yes\n")
    tables.drive(MYSQL.clear(node.instance, Contents("sql", ("a`b",), ("t",)), "i"))
    dropped = tables.commands[1]
    assert isinstance(dropped, Run)
    assert "DROP TABLE IF EXISTS `a``b`.`t`;" in str(dropped.stdin)
    whole = ScriptedHost(see_whether="yes\n", delete_database="yes\n")
    whole.drive(MYSQL.clear(node.instance, Contents("sql", ("shop", "more")), "i"))
    assert whole.titles[1:3] == ["delete database shop", "delete database more"]


REDIS_CLI = r"""
case " $* " in
  *" --pipe "*) cat > {folder}/read; exit {code};;
  *) while IFS= read -r line; do case $line in
       AUTH*|SELECT*) echo OK;; DBSIZE) echo 2;; 'INFO keyspace') printf '# Keyspace\r\n{keyspace}';;
     esac; done;;
esac
"""
LINE = (
    json.dumps({"db": 3, "key": "k", "type": "string", "expires_at_ms": None, "base64": False, "value": ["v"]}) + "\n"
)


def redis(node: Node, keyspace: str = "", code: int = 0) -> None:
    node.program("redis-cli", REDIS_CLI.format(folder=node.folder, keyspace=keyspace, code=code))


def test_lines_of_json_go_to_redis_behind_the_login(node: Node) -> None:
    redis(node)
    code, said, err = node.load(REDIS, Contents("jsonl", ("0", "3")), LINE)
    assert (code, err) == (0, "")
    login, _, rest = (node.folder / "read").read_text().partition("\n")
    assert login == REDIS.login(node.instance).reveal()
    assert rest == "*2\n$6\nSELECT\n$1\n3\n*3\n$3\nSET\n$1\nk\n$1\nv\n"
    assert [json.loads(line.removeprefix("say ")) for line in said] == [
        {"database": name, "table": "", "rows": 2} for name in ("0", "3")
    ]
    assert all(PASSWORD not in word for call in node.called("redis-cli") for word in call)


@pytest.mark.parametrize(
    "keyspace", ["db3:keys=1,expires=0\\r\\n", "db0:keys=5,expires=0\\r\\ndb3:keys=1,expires=0\\r\\n"]
)
def test_databases_of_redis_that_have_keys_are_in_the_way_and_others_are_not(node: Node, keyspace: str) -> None:
    redis(node, keyspace)
    code, _, err = node.load(REDIS, Contents("jsonl", ("3",)), LINE)
    assert (code != 0, err.strip()) == (True, "it is there already: keys in database 3")
    assert node.load(REDIS, Contents("jsonl", ("1", "33")), LINE)[0] == 0


def test_a_line_that_is_none_and_a_redis_that_refuses_fail_the_import(node: Node) -> None:
    redis(node)
    assert node.load(REDIS, Contents("jsonl", ("3",)), "{}\n")[0] != 0
    node.marks[0].unlink()
    redis(node, code=1)
    assert node.load(REDIS, Contents("jsonl", ("3",)), LINE)[0] == 1
    host = ScriptedHost(see_whether="yes\n")
    host.drive(REDIS.clear(node.instance, Contents("jsonl", ("0", "3")), "i"))
    assert host.titles[1:3] == ["empty database 0 again", "empty database 3 again"]


def test_a_snapshot_that_no_server_reads_fails_with_its_words_and_leaves_nothing(node: Node) -> None:
    redis(node)
    (node.folder / "data" / "redis").mkdir()
    node.program("redis-server", 'while [ "$1" != --logfile ]; do shift; done; echo "Wrong signature" > "$2"; exit 1')
    code, _, err = node.load(REDIS, Contents("rdb", ("0", "20")), "no rdb")
    assert (code != 0, "the snapshot cannot be read" in err, "Wrong signature" in err) == (True, True, True)
    assert list((node.folder / "data").glob("redis.rdb.*")) == []
    (call,) = node.called("redis-server")
    assert (call[call.index("--port") + 1], call[call.index("--databases") + 1]) == ("0", "21")


class Redis(threading.Thread):
    """A server of keys, that knows the few commands by which they are copied."""

    def __init__(self, listener: socket.socket, keys: dict[bytes, tuple[bytes, int]], refuses: bytes = b"") -> None:
        super().__init__(daemon=True)
        self.listener, self.keys, self.refuses = listener, keys, refuses
        self.asked: list[list[bytes]] = []
        self.start()

    def run(self) -> None:
        connection, _ = self.listener.accept()
        with connection, connection.makefile("rwb") as file:
            while line := file.readline():
                words = [line.strip()]
                if line.startswith(b"*"):
                    words = [file.read(int(file.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))]
                self.asked.append(words)
                file.write(self.answer(words))
                file.flush()

    def answer(self, words: list[bytes]) -> bytes:
        def bulk(value: bytes) -> bytes:
            return b"$%d\r\n%s\r\n" % (len(value), value)

        if words[0] == self.refuses:
            return b"-OOM command not allowed\r\n"
        match words:
            case [b"INFO", _]:
                return bulk(b"# Keyspace\r\ndb0:keys=3,expires=1\r\n")
            case [b"SCAN", b"0", *_]:
                return b"*2\r\n" + bulk(b"7") + b"*2\r\n" + bulk(b"a") + bulk(b"gone")
            case [b"SCAN", *_]:
                return b"*2\r\n" + bulk(b"0") + b"*1\r\n" + bulk(b"\xff\r\n")
            case [b"DUMP", key]:
                return bulk(self.keys[key][0]) if key in self.keys else b"$-1\r\n"
            case [b"PTTL", key]:
                return b":%d\r\n" % (self.keys[key][1] if key in self.keys else -2)
        return b"+OK\r\n"


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Where the two servers listen."""
    near, far = socket.socket(socket.AF_UNIX), socket.socket()
    near.bind(str(tmp_path / "s"))
    far.bind(("127.0.0.1", 0))
    with near, far:
        near.listen()
        far.listen()
        yield near, far


def copied(
    sockets: tuple[socket.socket, socket.socket], refuses: bytes = b""
) -> tuple[Redis, subprocess.CompletedProcess[str]]:
    near, far = sockets
    Redis(near, {b"a": (b"\x00one\r\n", -1), b"\xff\r\n": (b"two", 5000)})
    target = Redis(far, {}, refuses)
    done = subprocess.run(["python3", "-c", _COPY, near.getsockname(), "127.0.0.1", str(far.getsockname()[1])], input='AUTH "a" "b"\n',
                          capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    return target, done


def test_each_key_goes_over_as_it_is_with_what_is_left_of_its_time(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    target, done = copied(sockets)
    assert (done.returncode, done.stderr) == (0, "")
    assert target.asked == [
        [b'AUTH "a" "b"'], [b"SELECT", b"0"], [b"RESTORE", b"a", b"0", b"\x00one\r\n", b"REPLACE"],
        [b"RESTORE", b"\xff\r\n", b"5000", b"two", b"REPLACE"],
    ]  # fmt: skip


def test_a_server_that_takes_a_key_not_ends_the_copy_with_its_words(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    _, done = copied(sockets, b"RESTORE")
    assert (done.returncode, done.stderr) == (1, "Redis refuses: OOM command not allowed\n")


def test_what_differs_from_what_was_sent_is_named() -> None:
    within = Contents(
        "sql",
        ("a",),
        counted=(ExportedTable(database="a", table="t", rows=3), ExportedTable(database="a", table="u", rows=0)),
    )
    found = [ExportedTable(database="a", table="t", rows=2)]
    assert (facts(within, found).differing, facts(within, found).rows_expected, facts(within, found).rows) == (
        ("a t",),
        3,
        2,
    )
    keys = Contents("rdb", ("0",), counted=(ExportedTable(database="0", table="", rows=3),))
    assert facts(keys, []).differing == ("0",)


def test_an_import_that_is_there_is_not_begun_anew() -> None:
    values = {name: name for name in ("id", "cluster_id", "project_id", "operation_id", "export_id")}
    entry = Import(**values, created_at=None, state=State.FAILED)  # type: ignore[arg-type]
    entry.become(State.LOADING)
    entry.become(State.COMPLETED)
    with pytest.raises(Conflict):
        entry.become(State.LOADING)
