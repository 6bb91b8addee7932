"""What a dump asks of a node, and what is believed of restored data."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.dumping import GB, RESTORED, SEND_ANEW, Dumping
from services.datastore_agentless.datastores.mysql import role, standings
from services.datastore_agentless.datastores.mysql.copying import COPIED_AT
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.datastores.redis.manager import RedisManager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Put, Result, Run
from shared.errors import Failure, Retryable
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

NODE = Instance(id="n", cluster_id="c", name="shop-1", addr="10.0.0.1", ram_mb=2048, data_dir="/data", admin_user="dtrove",
                admin_password=Secret("it's \"odd\""))  # fmt: skip


def dumping(manager: type[BaseManager], version: str, **changes: Any) -> Dumping:
    made = manager(Datastore(id="d", manager_class="x", manager="x", version=version, image="", **changes)).dumping
    assert made is not None
    return made


PGSQL, MYSQL, REDIS = dumping(PostgresManager, "15"), dumping(MySQLManager, "10.11"), dumping(RedisManager, "7.0")
ALL = {"pgsql": PGSQL, "mysql": MYSQL, "redis": REDIS}
STANDS = "redis_version:7.0.15\r\nrole:{role}\r\nmaster_replid:8f3c\r\nmaster_repl_offset:900\r\nslave_repl_offset:800\r\n\r\n"


def well(**answers: Any) -> ScriptedHost:
    return ScriptedHost(**answers, **{"": lambda command: Result(stdout=getattr(command, "sample", ""))})


def test_mysql_s_own_server_has_no_dump_here() -> None:
    made = MySQLManager(
        Datastore(id="d", manager_class="x", manager="x", version="8.0", image="", packages=["mysql-server-8.0"])
    )
    assert made.dumping is None


def test_a_size_leaves_room_for_what_is_written_meanwhile_and_never_for_more_than_the_disk_has() -> None:
    for told, size in (
        ("1000 10 0", 1000 + 10 * 1024),
        (f"1000 0 {9 * GB}", 1000 + GB),
        (f"{8 * GB} 0 {9 * GB}", 12 * GB),
    ):
        assert ScriptedHost(see_how_large=f"{told}\n").drive(PGSQL.size(NODE)) == size


def test_the_binary_log_is_not_sent_and_not_counted() -> None:
    host = well()
    host.drive(MYSQL.size(NODE))
    assert "--exclude='dtrove-bin.*'" in host.lines


def test_a_size_is_what_lies_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mysql").mkdir()
    (tmp_path / "mysql" / "table").write_bytes(b"x" * 1_000_000)
    (tmp_path / "mysql" / "dtrove-bin.000001").write_bytes(b"x" * 9_000_000)
    host = well()
    host.drive(MYSQL.size(replace(NODE, data_dir=str(tmp_path))))
    (look,) = host.commands
    assert isinstance(look, Run)
    done = subprocess.run(["sh", "-c", look.line], capture_output=True, text=True, check=True)
    size, files, free = map(int, done.stdout.split())
    assert 1_000_000 <= size < 2_000_000
    assert files == 3
    assert free > 0


@pytest.mark.parametrize(("role_of_it", "position"), [("master", "8f3c:900"), ("slave", "8f3c:800")])
def test_redis_stands_where_its_own_data_are(role_of_it: str, position: str) -> None:
    told = STANDS.format(role=role_of_it) + "1796040000\n7000\n"
    mark = ScriptedHost(see_where_it_stands=told).drive(REDIS.mark(NODE))
    assert (mark.engine, mark.position, mark.at) == ("Redis 7.0.15", position, "2026-11-30T12:00:00.007Z")


def test_the_login_for_a_snapshot_is_a_line_of_its_own_whatever_the_password() -> None:
    line = REDIS.login(replace(NODE, admin_password=Secret("line\nbreak"))).reveal()
    assert line.startswith("AUTH ")
    assert "\n" not in line
    assert "$login" in REDIS.sends(NODE)
    assert not PGSQL.login(NODE).reveal()


def test_a_node_of_an_older_release_lets_its_superuser_have_a_base_backup_before_one_is_taken() -> None:
    host = ScriptedHost(write_pg=Result(changed=True))
    host.drive(PGSQL.ready(NODE))
    (written,) = [one for one in host.commands if isinstance(one, Put)]
    assert "local   replication     postgres                                peer\n" in str(written.content)
    assert host.titles[-1] == "read who may log in"
    host = ScriptedHost(write_pg=Result(changed=False))
    host.drive(PGSQL.ready(NODE))
    assert host.titles == ["write pg_hba.conf"]


def test_mariadb_s_tool_is_installed_before_a_dump() -> None:
    host = ScriptedHost(see_what_is_installed=Result(code=1))
    host.drive(MYSQL.ready(NODE))
    assert host.titles[-1] == "install mariadb-backup"


@pytest.mark.parametrize(("twice", "code"), [(False, 0), (True, SEND_ANEW)])
def test_a_dump_of_mariadb_s_that_nobody_could_unpack_is_none(twice: bool, code: int) -> None:
    said = "[00] Streaming ./mysql/table_stats.MAI to <STDOUT>\\n"
    said += "[00] aria table file ./mysql/{}.MAI is copied successfully.\\n".format("table_stats" if twice else "other")
    tool = f"mariadb-backup() {{ echo the data; printf '{said}' >&2; }}"
    dump = f"set -euo pipefail; {tool}; dump() (\n{MYSQL.sends(NODE)})\ndump 7>/dev/null | cat"
    done = subprocess.run(["bash", "-c", dump], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (code, "the data\n")
    assert ("sent twice: ./mysql/table_stats.MAI" in done.stderr) == twice


def test_what_does_not_say_that_it_takes_writes_is_not_believed() -> None:
    for host in (well(see_that_it_takes="f\n"), well(see_that_it_takes="")):
        with pytest.raises(CommandFailed, match="does not take writes"):
            host.drive(PGSQL.take_over(NODE))
    for told in (standings.well("10.0.0.9", writable=True), standings.well("", writable=False)):
        with pytest.raises(CommandFailed, match="does not take writes"):
            well(see_that_it_takes=told).drive(MYSQL.take_over(NODE))


def test_restored_data_of_mariadb_are_written_to_and_their_replicas_need_a_copy() -> None:
    host = well()
    host.drive(MYSQL.take_over(NODE))
    (written,) = [one for one in host.commands if isinstance(one, Put)]
    assert (written.path, written.content) == (role.ROLE_FILE, role.primary(waits=False))
    assert f'> "$d/{COPIED_AT}"' in MYSQL.receives(NODE), (
        "a replica that followed from the first transaction would lack them"
    )
    assert "--use-memory=512M" in MYSQL.receives(NODE)


@pytest.mark.parametrize(
    ("kept", "told", "trouble"),
    [
        ("5 2", "db0:keys=3,expires=0,avg_ttl=0\r\n", ""),
        ("5 0", "db0:keys=3,expires=0\r\ndb7:keys=2,expires=0\r\n", ""),
        ("5 0", "evicted_keys:4\r\ndb0:keys=1,expires=0\r\n", ""),
        ("0 0", "", ""),
        ("5 1", "db0:keys=3,expires=0\r\n", "shop-1 has 3 of 5 keys"),
        ("5 0", "", "shop-1 has 0 of 5 keys"),
    ],
)
def test_restored_keys_are_counted(kept: str, told: str, trouble: str) -> None:
    host = well(see_how_many_keys=f"{kept}\n", count_the_keys=f"loading:0\r\n{told}")
    if not trouble:
        host.drive(REDIS.take_over(NODE))
        return
    with pytest.raises(Failure, match=trouble):
        host.drive(REDIS.take_over(NODE))


def test_redis_is_asked_again_while_it_reads_what_was_restored() -> None:
    with pytest.raises(Retryable, match="still reads"):
        well(count_the_keys="loading:1\n").drive(REDIS.take_over(NODE))


@pytest.mark.parametrize(
    ("wished", "name"),
    [({}, "appendonly.aof"), ({"appendonly": "no"}, "dump.rdb"), ({"appendonly": "yes"}, "appendonly.aof")],
)
def test_a_snapshot_has_the_name_by_which_this_server_reads_it(wished: dict[str, Any], name: str) -> None:
    made = dumping(RedisManager, "7.0", default_parameters=wished)
    assert f'mv "$d/dump.rdb" "$d/{name}"' in made.receives(NODE)


def test_dtrove_s_own_lines_of_the_access_list_stay_and_all_others_are_the_backup_s(tmp_path: Path) -> None:
    own, brought = tmp_path / "users.acl", tmp_path / "redis.restored" / "users.acl"
    brought.parent.mkdir()
    own.write_text(
        "user default off\nuser dtrove on #new ~* +@all\nuser dtrove_replication on #new +psync\nuser late on #x\n"
    )
    brought.write_text(
        "user ann on #a ~a:* +@read\nuser default on #d\nuser dtrove on #old ~*\nuser dtrove_replication on #old\n"
    )
    host = well()
    host.drive(REDIS.take_over(replace(NODE, data_dir=str(tmp_path))))
    (line,) = [
        one.line for one in host.commands if isinstance(one, Run) and one.title == "let in whom the backup lets in"
    ]
    line = line.replace("/etc/redis/users.acl", str(own)).replace("chown redis:redis", "true")
    for _ in range(2):
        subprocess.run(["sh", "-c", line], check=True)
        assert own.read_text().splitlines() == [
            "user dtrove on #new ~* +@all", "user dtrove_replication on #new +psync", "user ann on #a ~a:* +@read",
            "user default on #d",
        ]  # fmt: skip
    assert not brought.exists()
    assert own.stat().st_mode & 0o777 == 0o640


def test_a_stroke_that_is_ended_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    """Whatever of the two folders a crash has left: afterwards the restored data are there, and nothing of the old ones."""
    node = replace(NODE, data_dir=str(tmp_path))
    host = well()
    host.drive(PGSQL.take_over(node))
    look, move = (
        next(one.line for one in host.commands if isinstance(one, Run) and one.title == title)
        for title in ("see what was restored", "put the restored data in their place")
    )

    def run(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)

    assert "nothing was restored" in run(look).stderr
    for folders in (("pgsql", "pgsql.restored"), ("pgsql.restored",), ("pgsql.old", "pgsql.restored")):
        for folder in folders:
            (tmp_path / folder).mkdir()
        (tmp_path / "pgsql.restored" / RESTORED).touch()
        assert run(look).stdout == "yes\n"
        for _ in range(2):
            assert run(move).returncode == 0
            assert run(look).stdout == "done\n"
            assert [one.name for one in tmp_path.iterdir()] == ["pgsql"]
        (tmp_path / "pgsql" / RESTORED).unlink()
        (tmp_path / "pgsql").rmdir()
