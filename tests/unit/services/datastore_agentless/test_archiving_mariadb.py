"""How MariaDB's binary log is kept: the real lines in sh, over a folder of files and a server that stands in."""

from __future__ import annotations

import os
import subprocess
import tarfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest

from services.datastore_agentless.datastores.base.archiving import PIECE_SECONDS, SPOOLED, Piece, Spool
from services.datastore_agentless.datastores.base.chains import Chain, chains, reach
from services.datastore_agentless.datastores.base.replaying import Place
from services.datastore_agentless.datastores.mysql import gtids
from services.datastore_agentless.datastores.mysql.archiving import MARK, BinaryLog
from services.datastore_agentless.datastores.mysql.manager import MySQLManager
from services.datastore_agentless.datastores.mysql.replaying import BinaryLogReplay
from services.datastore_agentless.domain.archive import LogRun, Stretch
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Put, Result, Run
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

ENTRY = Datastore(id="d", manager_class="x", manager="x", version="10.11", image="")
MANAGER = MySQLManager(ENTRY)
NODE = Instance(id="n", cluster_id="c", name="shop-1", addr="10.0.0.1", ram_mb=2048, data_dir="/data")
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
# A file has four bytes, the time of its first event, and the list that it begins with.
SERVER = """#!/usr/bin/env python3
import os, re, struct, sys, time
home = os.environ["HOME"]
data = home + "/mysql"
there = lambda: sorted(one for one in os.listdir(data) if one.startswith("dtrove-bin."))
said = lambda name: open(f"{home}/{name}").read()
for line in re.split(r"[;\\n]+", sys.stdin.read()):
    line = line.strip()
    if line == "SHOW SLAVE STATUS" and os.path.exists(home + "/replica"):
        print("\\tsim-1\\trepl")
    elif line.startswith("SELECT 'state'"):
        print("state\\t" + said("state"))
    elif line == "SHOW MASTER STATUS":
        print(there()[-1] + "\\t400\\t\\t")
    elif found := re.match("SELECT 'file', (.*)", line):
        print("file\\t" + found[1])
    elif found := re.match("SHOW BINLOG EVENTS IN '(.*)' LIMIT 3", line):
        begins = open(f"{data}/{found[1]}", "rb").read()[8:].decode()
        print(f"{found[1]}\\t4\\tFormat_desc\\t1\\t256\\tServer ver: 10.11\\n{found[1]}\\t256\\tGtid_list\\t1\\t285\\t[{begins}]")
    elif line == "FLUSH LOCAL BINARY LOGS":
        number = int(there()[-1][11:]) + 1
        open(f"{data}/dtrove-bin.{number:06d}", "wb").write(b"\\xfebin" + struct.pack("<I", int(time.time())) + said("state").encode())
"""


class Server:
    """A server whose log lies in a real folder; `write` counts its transactions."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.node = folder, replace(NODE, data_dir=str(folder))
        self.data = folder / "mysql"
        self.data.mkdir()
        for name, lines in (("mysql", SERVER), ("chown", "#!/bin/sh\n")):
            tool = folder / "bin" / name
            tool.parent.mkdir(exist_ok=True)
            tool.write_text(lines)
            tool.chmod(0o755)
        self.write("0-1-2")
        self.file(3, "", age=500)

    def write(self, state: str) -> None:
        (self.folder / "state").write_text(state)

    def file(self, number: int, begins: str, age: int) -> None:
        """A file that was begun so many seconds ago."""
        began = int(time.time()) - age
        (self.data / f"dtrove-bin.{number:06d}").write_bytes(b"\xfebin" + began.to_bytes(4, "little") + begins.encode())

    def follows(self, does: bool = True) -> None:
        (self.folder / "replica").touch() if does else (self.folder / "replica").unlink()

    def drive(self, script: object) -> object:
        return ScriptedHost(**{"": self._answer}).drive(script)  # type: ignore[arg-type]

    def look(self) -> Spool:
        found = self.drive(archiving().look(self.node))
        assert isinstance(found, Spool)
        return found

    def begin(self) -> None:
        self.drive(archiving().begin(self.node))

    def let_go(self, *pieces: Piece) -> None:
        self.drive(archiving().let_go(self.node, [one.name for one in pieces]))

    def purge(self, *numbers: int) -> None:
        for number in numbers:
            (self.data / f"dtrove-bin.{number:06d}").unlink()

    def _answer(self, command: Run | Put) -> Result:
        if isinstance(command, Put):
            return Result()
        environ = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(self.folder)}
        done = subprocess.run(["sh", "-c", command.line], input=str(command.stdin or ""), capture_output=True, text=True,
                              env=environ, check=False)  # fmt: skip
        if done.returncode:
            raise CommandFailed(done.stderr, code=done.returncode)
        return Result(done.returncode, done.stdout, done.stderr)


def archiving() -> BinaryLog:
    made = MANAGER.archiving
    assert isinstance(made, BinaryLog)
    return made


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Its log is kept from file 3 on."""
    made = Server(tmp_path)
    assert not made.look().runs
    made.begin()
    return made


def numbers(spool: Spool) -> list[int]:
    return [one.number for one in spool.pieces]


def test_a_file_in_which_something_was_written_is_closed_once_it_is_old_enough_and_then_waits(server: Server) -> None:
    seen = server.look()
    (piece,) = seen.pieces
    assert (piece.number, piece.begins, piece.ends, piece.name) == (3, "", "0-1-2", f"{seen.line}.000003")
    assert seen.covers == seen.at - PIECE_SECONDS
    server.write("0-1-3")
    assert numbers(server.look()) == [3], "file 4 is young"


def test_a_file_in_which_nothing_was_written_stays_open_however_old_it_is(server: Server) -> None:
    server.let_go(*server.look().pieces)
    server.file(4, "0-1-2", age=5000)
    server.begin()
    seen = server.look()
    assert (seen.pieces, seen.covers is None) == ((), False)


def test_what_is_safe_is_let_go_of_and_stays_the_server_s_to_purge(server: Server) -> None:
    server.let_go(*server.look().pieces)
    assert numbers(server.look()) == []
    assert (server.data / "dtrove-bin.000003").exists()
    server.purge(3)
    assert server.look().lost == ()


def test_files_that_were_purged_before_they_were_fetched_are_lost_and_named_until_dtrove_has_seen_it(
    server: Server,
) -> None:
    for number in (4, 5, 6):
        server.file(number, "0-1-2", age=20)
    server.purge(3, 4)
    seen = server.look()
    assert ([name[-6:] for name in seen.lost], numbers(seen), seen.covers) == (["000003", "000004"], [5], None)
    server.drive(archiving().let_go(server.node, seen.lost))
    assert (server.look().lost, numbers(server.look())) == ((), [5])


def test_the_mark_moves_no_further_than_what_was_let_go_of_without_a_gap(server: Server) -> None:
    for number in (4, 5, 6):
        server.file(number, "0-1-2", age=20)
    third, fourth, fifth = server.look().pieces
    server.let_go(third, fifth)
    assert numbers(server.look()) == [4, 5]
    server.let_go(fourth, fifth)
    assert numbers(server.look()) == []


def test_no_more_is_listed_than_is_brought_soon_and_the_rest_is_known_to_wait(server: Server) -> None:
    for number in range(4, 4 + SPOOLED + 5):
        server.file(number, "0-1-2", age=20)
    seen = server.look()
    assert (len(seen.pieces), seen.waiting, seen.covers) == (SPOOLED, 5, None)


def test_after_reset_master_and_on_other_data_another_line_begins(server: Server) -> None:
    first = server.look().line
    server.purge(3, 4)
    server.file(1, "", age=20)
    assert not server.look().runs
    server.begin()
    second = server.look().line
    server.file(2, "", age=20)
    server.file(1, "", age=300)
    assert not server.look().runs, "it is not the file that the mark was made for"
    server.begin()
    assert len({first, second, server.look().line}) == 3


def test_to_begin_twice_changes_nothing_and_the_end_leaves_no_mark(server: Server) -> None:
    before = (server.data / MARK).read_text()
    server.begin()
    assert (server.data / MARK).read_text() == before
    server.drive(archiving().end(server.node))
    assert not [one for one in server.data.iterdir() if one.name.startswith(MARK)]
    assert not server.look().runs


def test_a_node_that_follows_has_nothing_to_be_fetched_and_closes_no_file(server: Server) -> None:
    server.follows()
    server.file(4, "0-1-2", age=20)
    seen = server.look()
    assert (seen.line, seen.pieces, seen.runs) == ("", (), True)
    assert not (server.data / "dtrove-bin.000005").exists()


def test_who_is_promoted_closes_a_file_at_once_and_has_what_it_logged_in_the_last_day(server: Server) -> None:
    server.follows()
    server.file(4, "0-1-2", age=20)
    os.utime(server.data / "dtrove-bin.000003", (1000, 1000))
    server.look()
    server.follows(does=False)
    seen = server.look()
    assert [(one.number, one.begins, one.ends) for one in seen.pieces] == [(4, "0-1-2", "0-1-2")]
    assert numbers(server.look()) == [4], "once"


def test_the_log_of_a_copy_begins_with_what_was_copied_and_that_of_restored_data_with_nothing(server: Server) -> None:
    (server.data / "dtrove-copied-at").write_text("0-7-50\n")
    (piece,) = server.look().pieces
    assert (piece.begins, piece.ends) == ("0-7-50", "0-1-2,0-7-50")
    (server.data / "dtrove-restored").touch()
    assert server.look().pieces[0].begins == ""


def test_what_is_sent_has_the_names_of_its_line(server: Server) -> None:
    (piece,) = server.look().pieces
    sent = subprocess.run(["sh", "-c", archiving().sends(server.node, [piece.name])], capture_output=True, check=True)
    with tarfile.open(fileobj=BytesIO(sent.stdout)) as tar:
        assert tar.getnames() == [piece.name]


@pytest.mark.parametrize(
    "told", ["", "at noon\n", "at 1\nline a\nrole primary\npiece 3 1 1\n", "at 1\nline a\ngtids 3 [x]\n"]
)
def test_what_cannot_be_read_is_an_error_and_no_empty_log(told: str) -> None:
    with pytest.raises(CommandFailed, match="does not say how its log is kept"):
        ScriptedHost(see_what_waits=told).drive(archiving().look(NODE))


def test_only_versions_whose_tools_know_global_transaction_ids_keep_a_log() -> None:
    assert MySQLManager(replace(ENTRY, version="10.6")).archiving is None
    assert MySQLManager(replace(ENTRY, version="10.6")).replaying is None
    assert MySQLManager(replace(ENTRY, version="8.0", packages=("mysql-server",))).archiving is None


def test_one_history_is_within_another_where_that_knows_all_of_it() -> None:
    def within(state: str, other: str) -> bool:
        return gtids.within(gtids.read(state), gtids.read(other))

    assert within("0-1-97", "0-1-97,0-2-150")
    assert not within("0-1-100", "0-1-97,0-2-150"), "what was written by a primary that died, and that nobody has"
    assert not within("0-1-97,0-2-150", "0-1-100")
    assert within("", "0-1-1")
    assert within("0-2-40", "0-1-100,0-3-120"), "a copy does not know who wrote what lies before it"
    assert gtids.newest(gtids.read("[0-1-97, 0-2-150, 1-1-900]")) == "0-2-150"
    assert gtids.position(gtids.read("0-1-97,0-2-150,1-1-9")) == "0-2-150,1-1-9"
    with pytest.raises(ValueError, match="no global transaction id"):
        gtids.read("0-1")


def stretch(line: str, begins: str, ends: str, minute: int) -> Stretch:
    return Stretch(line, line, 1, 9, NOON + timedelta(minutes=minute), begins, ends)


def lines(chain: Chain) -> list[str]:
    return [one.line for one in chain.stretches]


def test_a_log_goes_on_over_a_failover_where_the_first_one_has_what_the_second_begins_with() -> None:
    replaying = BinaryLogReplay(MANAGER)
    old, new = stretch("a", "0-1-10", "0-1-100", 1), stretch("b", "0-1-90", "0-1-97,0-2-150", 2)
    (chain,) = chains(replaying, [old, new], None)
    assert lines(chain) == ["a", "b"]
    assert chain.stretches[0].ends == "0-1-90", "the rest of it is the other's to tell"
    later = stretch("c", "0-1-97,0-2-160", "0-1-97,0-2-160,0-3-200", 3)
    assert [lines(one) for one in chains(replaying, [old, new, later], None)] == [["c"], ["a", "b"]]


def test_a_backup_is_on_the_way_that_has_all_it_has() -> None:
    replaying = BinaryLogReplay(MANAGER)
    found = chains(replaying, [stretch("a", "0-1-10", "0-1-100", 1), stretch("b", "0-1-90", "0-1-97,0-2-150", 2)], None)

    def after(position: str) -> list[str] | None:
        reached = reach(found, Place("", 0, position))
        return None if reached is None else [one.line for one in reached[1]]

    assert after("0-1-50") == ["a", "b"]
    assert after("0-1-95") == ["b"]
    assert after("0-1-97,0-2-180") == [], "what it goes on with is to come"
    assert after("0-1-99") is None
    assert after("0-1-5") is None


def test_of_what_is_there_only_that_is_fetched_which_the_backup_lacks() -> None:
    replaying = BinaryLogReplay(MANAGER)
    there = stretch("a", "0-1-10", "0-1-90", 1)

    def needed(begins: str, ends: str) -> bool:
        run = LogRun("k", "c", "n", "a", 1, 1, NOON, "local", True, 1, {}, begins, ends)
        return replaying.needed(run, Place("", 0, "0-1-50"), there)

    assert not needed("0-1-10", "0-1-50")
    assert needed("0-1-40", "0-1-60")
    assert needed("0-1-80", "0-1-100")
    assert not needed("0-1-90", "0-1-100"), "a dead primary's, past where the next line begins"


def test_a_first_piece_joins_where_its_server_had_logged_what_is_safe() -> None:
    newest = LogRun("k", "c", "n", "a", 1, 9, NOON, "local", True, 1, {}, "", "0-1-100")
    assert archiving().joins(newest, Piece("b", 4, "b.000004", 1, 0.0, "0-1-90", "0-1-97,0-2-98"))
    assert not archiving().joins(newest, Piece("b", 4, "b.000004", 1, 0.0, "0-1-101", "0-1-102"))
    assert archiving().has(newest, Piece("b", 4, "b.000004", 1, 0.0, "0-1-90", "0-1-100"))
