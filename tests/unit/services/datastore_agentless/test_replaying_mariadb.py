"""How MariaDB's data take their binary logs on a node: the real lines in bash, with a server and a mariadb-binlog that stand in."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.datastore_agentless.datastores.base.replaying import Place, Replay
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.datastores.mysql.replaying import BinaryLogReplay, Part, parts
from services.datastore_agentless.domain.archive import LogRun
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

MANAGER = MySQLManager(Datastore(id="d", manager_class="x", manager="x", version="10.11", image=""))
NODE = Instance(id="n", cluster_id="c", name="shop-1", addr="10.0.0.1", ram_mb=2048, data_dir="/data")
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
# Reads files with a line for each list and each transaction, and says of them what mariadb-binlog 10.11.19 does: a hole is none to it.
BINLOG = """#!/usr/bin/env python3
import os, sys
from datetime import datetime
options = dict(one[2:].split("=", 1) for one in sys.argv[1:] if one.startswith("--") and "=" in one)
begin, end, until = (options.get(one, "") for one in ("start-position", "stop-position", "stop-datetime"))
assert os.environ["TZ"] == "UTC0"
number = lambda text: int(text.partition(",")[0].rpartition("-")[2] or 0)
shown = lambda when: datetime.fromisoformat(when).strftime("%y%m%d %k:%M:%S")
met = False
for name in (one for one in sys.argv[1:] if not one.startswith("--")):
    for line in open(name):
        kind, when, what = line.rstrip("\\n").split(" ", 2)
        if until and when.replace("T", " ") >= until:
            met = True
            break
        head = f"#{shown(when)} server id 1  end_log_pos 400 CRC32 0x9ada8e70 \\t"
        if kind == "list":
            print(head + "Gtid list [" + what.replace(",", ",\\n# ") + "]")
        elif number(begin) < number(what) <= (number(end) or 10**9):
            print(head + f"GTID {what} trans\\nINSERT {what}")
    if met:
        break
if until and not met:
    print(f"WARNING: Did not reach stop datetime '{until}' before end of input", file=sys.stderr)
"""
SERVER = """#!/bin/bash
printf '%s\\n' "$@" > "$HOME/started"
for one; do case $one in --pid-file=*) echo $$ > "${one#*=}";; esac; done
[ ! -e "$HOME/broken" ] || exit 1
until [ -e "$HOME/down" ]; do read -r -t 0.05 _ <> <(:) || true; done
"""
CLIENT = """#!/bin/bash
said=$(cat)
case $said in
  'DO 1;') [ -s "$HOME/started" ] || exit 1;;
  'SHUTDOWN;') : > "$HOME/down";;
  *) grep -a ^INSERT <<< "$said" | cut -d ' ' -f 2 >> "$HOME/applied"; [ ! -e "$HOME/refused" ] || ! grep -qf "$HOME/refused" <<< "$said";;
esac
"""
BACKUP = 'for one; do case $one in --target-dir=*) printf "f\\t1\\t%s\\n" "$(cat "$HOME/at")" > "${one#*=}/xtrabackup_binlog_info";; esac; done'
TOOLS = {
    "chown": "", "mbstream": "cat >/dev/null", "mariadb-backup": BACKUP, "mariadbd": SERVER, "mysql": CLIENT, "mariadb-binlog": BINLOG,
    "install": 'for last; do case $last in /*) [ "${last#/}" = "" ] || mkdir -p "$last";; esac; done',
}  # fmt: skip


def run(line: str, first: int, last: int, begins: str, ends: str, minute: float) -> LogRun:
    """Files of a line, closed so many minutes after noon."""
    at = NOON + timedelta(minutes=minute)
    return LogRun("k", "c", "n", line, first, last, at, "local", True, 1, {}, begins, ends)


class Host:
    """A node in a folder, on which logs lie; `receive` takes the data of a backup that was made at a transaction up to a moment."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.node = folder, replace(NODE, data_dir=str(folder))
        self.replaying = BinaryLogReplay(MANAGER)
        (folder / "bin").mkdir()
        for name, lines in TOOLS.items():
            tool = folder / "bin" / name
            tool.write_text(lines if lines.startswith("#!") else f"#!/bin/bash\n{lines}\n")
            tool.chmod(0o755)
        self.data = folder / "mysql.restored"

    def bash(self, lines: str, stream: bytes) -> subprocess.CompletedProcess[bytes]:
        lines = lines.replace("/run/dtrove-replay", str(self.folder / "replay"))
        environ = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(self.folder)}
        return subprocess.run(["bash", "-c", f"set -euo pipefail\nload() (\ncd /\n{lines}\n)\nload 1"], input=stream,
                              capture_output=True, env=environ, check=False)  # fmt: skip

    def lay(self, name: str, *lines: str) -> None:
        """A file of a log: the list that it begins with, and its transactions, each with its time after noon."""
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w") as tar:
            info = tarfile.TarInfo(name)
            content = "".join(f"{line}\n" for line in lines).encode()
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        done = self.bash(self.replaying.takes_in(self.node), held.getvalue())
        assert done.returncode == 0, done.stderr

    def receive(self, at: str, seconds: float, runs: Sequence[LogRun]) -> subprocess.CompletedProcess[bytes]:
        (self.folder / "at").write_text(at)
        (self.folder / "down").unlink(missing_ok=True)
        last = runs[-1]
        replay = Replay(NOON + timedelta(seconds=seconds), last.line, f"{last.line}.{last.last:06d}", tuple(runs))
        return self.bash(self.replaying.receives(self.node, replay, 1), b"a backup")

    @property
    def applied(self) -> list[str]:
        there = self.folder / "applied"
        return there.read_text().split() if there.exists() else []


def trx(seconds: int, gtid: str) -> str:
    return f"trx {(NOON + timedelta(seconds=seconds)).isoformat()[:19]} {gtid}"


def listed(seconds: int, state: str) -> str:
    return f"list {(NOON + timedelta(seconds=seconds)).isoformat()[:19]} {state}"


def ids(*numbers: int, server: int = 1) -> list[str]:
    return [f"0-{server}-{number}" for number in numbers]


# Three files of server 1, a minute each, with transactions ten seconds apart.
RUNS = (run("a", 1, 1, "", "0-1-3", 1), run("a", 2, 2, "0-1-3", "0-1-6", 2), run("a", 3, 3, "0-1-6", "0-1-9", 3))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    for number, begins in ((1, ""), (2, "0-1-3"), (3, "0-1-6")):
        begun = 60 * (number - 1)
        rows = [trx(begun + 10 * one, f"0-1-{3 * (number - 1) + one}") for one in (1, 2, 3)]
        made.lay(f"a.{number:06d}", listed(begun, begins), *rows)
    return made


def test_what_was_begun_before_the_moment_s_second_is_there_and_nothing_that_came_later(host: Host) -> None:
    done = host.receive("0-1-2", 140.9, RUNS)
    assert done.returncode == 0, done.stderr
    assert host.applied == ids(3, 4, 5, 6, 7), "at 12:02:20 the eighth was begun"
    assert b"replayed to 0-1-7" in done.stdout
    assert host.data.is_dir()


def test_nothing_of_the_server_that_took_the_log_is_left(host: Host) -> None:
    host.receive("0-1-2", 200, RUNS)
    assert sorted(one.name for one in host.data.iterdir()) == [
        "dtrove-copied-at",
        "dtrove-restored",
        "xtrabackup_binlog_info",
    ]
    assert not (host.folder / "replay").exists()
    assert (host.data / "dtrove-copied-at").read_text() == "0-1-2\n"


def test_nobody_reaches_that_server_and_no_setting_of_a_user_s_ends_it_half_way(host: Host) -> None:
    host.receive("0-1-2", 200, RUNS)
    told = (host.folder / "started").read_text().split()
    assert {
        "--skip-networking",
        "--skip-log-bin",
        "--event-scheduler=OFF",
        "--skip-slave-start",
        "--wait-timeout=31536000",
    } <= set(told)
    assert f"--socket={host.folder}/replay/socket" in told


def test_a_moment_after_which_nothing_was_committed_is_reached_with_the_end_of_the_log(host: Host) -> None:
    done = host.receive("0-1-2", 3600, RUNS)
    assert done.returncode == 0, done.stderr
    assert host.applied == ids(*range(3, 10))


def test_files_that_were_closed_a_while_before_the_moment_are_taken_whole_whatever_their_clocks_say(host: Host) -> None:
    host.lay("a.000001", listed(0, ""), trx(10, "0-1-1"), trx(86_400, "0-1-2"), trx(30, "0-1-3"))
    assert host.receive("0-1-1", 145, RUNS).returncode == 0
    assert host.applied == ids(2, 3, 4, 5, 6, 7, 8)


@pytest.mark.parametrize("seconds", [140, 3600])
def test_a_log_with_a_hole_does_not_pass_for_a_whole_one(host: Host, seconds: int) -> None:
    host.lay("a.000002", listed(60, "0-1-4"), trx(80, "0-1-5"), trx(90, "0-1-6"))
    done = host.receive("0-1-2", seconds, RUNS)
    assert (done.returncode, b"dtrove: the log has a hole before a file that begins at 0-1-4" in done.stderr) == (
        1,
        True,
    )
    assert not host.data.exists()


def test_a_log_that_ends_too_early_fails(host: Host) -> None:
    host.lay("a.000003", listed(120, "0-1-6"), trx(130, "0-1-7"))
    done = host.receive("0-1-2", 3600, RUNS)
    assert (done.returncode, b"dtrove: the log ends at 0-1-7, before 0-1-9" in done.stderr) == (1, True)
    assert not host.data.exists()


def test_a_file_that_is_missing_fails(host: Host) -> None:
    (host.folder / "mysql.log" / "a.000002").unlink()
    done = host.receive("0-1-2", 3600, RUNS)
    assert (done.returncode, b"dtrove: the log could not be replayed from 0-1-2 on" in done.stderr) == (1, True)
    assert not host.data.exists()


def test_a_statement_that_the_data_refuse_fails_and_leaves_no_server(host: Host) -> None:
    (host.folder / "refused").write_text("INSERT 0-1-5\n")
    done = host.receive("0-1-2", 3600, RUNS)
    assert (done.returncode, b"dtrove: the log could not be replayed" in done.stderr) == (1, True)
    assert not (host.folder / "replay").exists()


def test_a_server_that_does_not_begin_is_said_to(host: Host) -> None:
    (host.folder / "broken").touch()
    (host.folder / "bin" / "mysql").write_text("#!/bin/bash\nexit 1\n")
    done = host.receive("0-1-2", 3600, RUNS)
    assert (done.returncode, b"dtrove: no server begins on the data of the backup" in done.stderr) == (1, True)


def test_a_backup_that_has_all_of_it_takes_nothing(host: Host) -> None:
    done = host.receive("0-1-9", 3600, RUNS)
    assert (done.returncode, host.applied) == (0, [])


def test_a_backup_of_a_database_in_which_nothing_was_ever_written_takes_the_log_from_its_beginning(host: Host) -> None:
    assert host.receive("", 35, RUNS).returncode == 0
    assert host.applied == ids(1, 2, 3)


def test_a_backup_that_stands_at_what_only_a_dead_primary_had_written_is_refused(host: Host) -> None:
    done = host.receive("0-3-5", 3600, RUNS)
    assert (done.returncode, b"dtrove: the backup stands at 0-3-5, which is not in the log" in done.stderr) == (1, True)
    assert not host.data.exists()


def test_over_a_failover_the_first_log_is_taken_as_far_as_the_second_goes_on_from(host: Host) -> None:
    host.lay("b.000007", listed(55, "0-1-5"), trx(90, "0-1-6"), trx(200, "0-2-7"), trx(210, "0-2-8"))
    runs = (*RUNS, run("b", 7, 7, "0-1-5", "0-1-6,0-2-8", 4))
    assert host.receive("0-1-2", 3600, runs).returncode == 0
    assert host.applied == [*ids(3, 4, 5, 6), *ids(7, 8, server=2)]
    assert host.receive("0-1-2", 205, runs).returncode == 0
    assert host.applied[6:] == [*ids(3, 4, 5, 6), *ids(7, server=2)]


def test_where_the_first_log_meets_the_moment_the_second_is_not_read(host: Host) -> None:
    host.lay("b.000007", listed(55, "0-1-9"), trx(5, "0-2-10"))
    runs = (*RUNS, run("b", 7, 7, "0-1-9", "0-1-9,0-2-10", 4))
    assert host.receive("0-1-2", 145, runs).returncode == 0
    assert host.applied == ids(3, 4, 5, 6, 7, 8)


def test_a_server_that_a_killed_job_has_left_is_ended_first(host: Host) -> None:
    left = host.folder / "replay"
    left.mkdir()
    other = subprocess.Popen(["bash", "-c", f": {left}; read -r _"], stdin=subprocess.PIPE)
    (left / "pid").write_text(f"{other.pid}\n")
    assert host.receive("0-1-2", 200, RUNS).returncode == 0
    assert other.wait(5) == -9


def test_runs_are_read_at_once_as_long_as_they_follow_each_other_and_nobody_looks_at_clocks() -> None:
    found = list(parts(RUNS, NOON + timedelta(minutes=3.5)))
    assert found == [Part("a", 1, 2, "", "0-1-6", "", timed=False), Part("a", 3, 3, "0-1-6", "0-1-9", "", timed=True)]
    gap = (RUNS[0], run("a", 5, 5, "0-1-3", "0-1-4", 2))
    assert [(one.first, one.last) for one in parts(gap, NOON + timedelta(hours=1))] == [(1, 1), (5, 5)]


def test_a_backup_needs_the_log_from_what_its_server_has_logged_and_of_a_copy_from_where_that_was_made() -> None:
    replaying = BinaryLogReplay(MANAGER)
    drive = lambda told: ScriptedHost(see_from_where=told).drive(replaying.needs_from(NODE))  # noqa: E731
    assert drive("state 0-2-9,0-1-7\n") == Place("", 0, "0-1-7,0-2-9")
    assert drive("state \nbase 0-1-50\n") == Place("", 0, "0-1-50")
    with pytest.raises(CommandFailed, match="does not say from where on"):
        drive("nothing")
