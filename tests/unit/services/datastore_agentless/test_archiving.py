"""How the log of an engine is kept on its node, and what is believed of what lies there."""

from __future__ import annotations

import os
import subprocess
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from services.datastore_agentless.datastores.base.archiving import PIECE_SECONDS, SPOOLED, Archiving, Piece, Spool, runs
from services.datastore_agentless.datastores.pgsql.archiving import WriteAheadLog
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.domain.archive import LogRun
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Put, Result, Run
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

MANAGER = PostgresManager(Datastore(id="d", manager_class="x", manager="x", version="15", image=""))
NODE = Instance(id="n", cluster_id="c", name="shop-1", addr="10.0.0.1", ram_mb=2048, data_dir="/data")
WELL = "700|16777216|on|1796040000.5|00000001|\n"
FIRST, SECOND = "000000010000000000000001", "000000010000000000000002"


def archiving() -> WriteAheadLog:
    made = MANAGER.archiving
    assert isinstance(made, WriteAheadLog)
    return made


def looked(listed: str, told: str = WELL) -> Spool:
    spool = ScriptedHost(ask_how=told, see_what_waits=listed).drive(archiving().look(NODE))
    assert isinstance(spool, Spool)
    return spool


class Engine:
    """What PostgreSQL does when it has finished a file of its log, with the spool of a node whose volume is a real folder."""

    def __init__(self, volume: Path) -> None:
        self.node, self.spool = replace(NODE, data_dir=str(volume)), volume / "pgsql.archive"
        self.log = volume / "pgsql" / "pg_wal"
        (self.log / "archive_status").mkdir(parents=True)
        for tool in ("install", "chown"):
            self._stand_in(volume / "bin" / tool)
        self._path = f"{volume / 'bin'}:{os.environ['PATH']}"

    def run(self, command: Run) -> Result:
        """A command of DTrove's, without the users that only a real host has."""
        done = subprocess.run(["sh", "-c", command.line], input=str(command.stdin or ""), capture_output=True, text=True,
                              env={"PATH": self._path}, check=False)  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def host(self) -> ScriptedHost:
        return ScriptedHost(ask_how=WELL, read_how="", see_whether="yes", **{"": self._answer})

    def finish(self, name: str, content: bytes = b"log") -> int:
        (self.log / name).write_bytes(content)
        line = archiving().command(self.node).replace("%p", f"pg_wal/{name}").replace("%f", name).replace("%%", "%")
        return subprocess.run(["sh", "-c", line], cwd=self.log.parent, capture_output=True, check=False).returncode

    def names(self) -> list[str]:
        return sorted(one.name for one in self.spool.iterdir())

    def look(self) -> Spool:
        found = self.host().drive(archiving().look(self.node))
        assert isinstance(found, Spool)
        return found

    def _answer(self, command: Run | Put) -> Result:
        return self.run(command) if isinstance(command, Run) else Result()

    @staticmethod
    def _stand_in(tool: Path) -> None:
        tool.parent.mkdir(exist_ok=True)
        tool.write_text('#!/bin/sh\nfor last; do :; done\n[ "${0##*/}" = chown ] || mkdir -p "$last"\n')
        tool.chmod(0o755)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = Engine(tmp_path)
    made.host().drive(archiving().begin(made.node))
    return made


def test_without_a_spool_the_command_is_content_and_keeps_nothing(tmp_path: Path) -> None:
    made = Engine(tmp_path)
    assert made.finish(FIRST) == 0
    assert not made.spool.exists()


def test_a_finished_segment_lies_in_the_spool_whole_and_keeps_its_time(engine: Engine) -> None:
    (engine.log / FIRST).write_bytes(b"log")
    assert engine.finish(FIRST) == 0
    os.utime(engine.log / FIRST, (1000, 1000))
    assert engine.finish(SECOND) == 0
    assert engine.names() == [".take", FIRST, SECOND]
    assert (engine.spool / FIRST).read_bytes() == b"log"
    assert (engine.spool / SECOND).stat().st_mtime == pytest.approx((engine.log / SECOND).stat().st_mtime)


def test_the_same_segment_is_taken_twice_and_another_of_its_name_never(engine: Engine) -> None:
    assert engine.finish(FIRST) == 0
    assert engine.finish(FIRST) == 0
    assert engine.finish(FIRST, b"another") != 0
    assert (engine.spool / FIRST).read_bytes() == b"log"


def test_what_an_attempt_that_was_cut_off_has_left_is_written_over_and_never_listed(engine: Engine) -> None:
    (engine.spool / ".coming").write_bytes(b"half of another")
    assert engine.look().pieces == ()
    assert engine.finish(FIRST) == 0
    assert [one.name for one in engine.look().pieces] == [FIRST]


def test_a_full_spool_takes_no_segment_and_leaves_the_log_to_the_engine_but_has_room_for_a_history(
    engine: Engine,
) -> None:
    for number in range(SPOOLED):
        (engine.spool / f"0000000100000000{number:08X}").touch()
    assert engine.finish("0000000100000000000000F0") != 0
    assert engine.finish("00000002.history") == 0
    assert engine.look().lost == ()


def test_a_segment_is_given_up_where_the_volume_is_nearly_full_and_that_is_noted_until_dtrove_has_seen_it(
    engine: Engine, tmp_path: Path
) -> None:
    take = engine.spool / ".take"
    take.write_text(take.read_text().replace("* 10 /", "* 101 /"))
    assert engine.finish(FIRST) == 0
    assert engine.finish(SECOND) == 0
    seen = engine.look()
    assert (seen.pieces, seen.lost, seen.covers) == ((), (FIRST, SECOND), None)
    engine.host().drive(archiving().let_go(engine.node, [FIRST]))
    assert engine.look().lost == (SECOND,)
    engine.host().drive(archiving().let_go(engine.node, [SECOND]))
    assert engine.look().lost == ()
    assert engine.names() == [".take"]


def test_labels_of_base_backups_and_the_rest_of_a_left_line_are_not_kept(engine: Engine) -> None:
    assert engine.finish(f"{FIRST}.00000028.backup") == 0
    assert engine.finish(f"{FIRST}.partial") == 0
    assert engine.names() == [".take"]


def test_what_is_sent_is_a_tar_file_of_what_was_named_and_what_is_let_go_of_is_gone(engine: Engine) -> None:
    engine.finish(FIRST, b"one")
    engine.finish(SECOND, b"two")
    sent = subprocess.run(["sh", "-c", archiving().sends(engine.node, [FIRST])], capture_output=True, check=True)
    with tarfile.open(fileobj=BytesIO(sent.stdout)) as tar:
        assert tar.getnames() == [FIRST]
    for _ in range(2):
        engine.host().drive(archiving().let_go(engine.node, [FIRST]))
        assert engine.names() == [".take", SECOND]


def test_what_the_engine_has_not_put_there_yet_is_counted(engine: Engine) -> None:
    assert engine.look().covers == 1796040000.5 - PIECE_SECONDS
    (engine.log / "archive_status" / f"{FIRST}.ready").touch()
    (engine.log / "archive_status" / f"{SECOND}.done").touch()
    seen = engine.look()
    assert (seen.waiting, seen.covers) == (1, None)


def test_to_begin_twice_changes_nothing_and_a_newer_command_takes_the_place_of_an_older(engine: Engine) -> None:
    engine.finish(FIRST)
    usual = (engine.spool / ".take").read_text()
    (engine.spool / ".take").write_text("exit 1\n")
    engine.host().drive(archiving().begin(engine.node))
    assert (engine.spool / ".take").read_text() == usual
    assert engine.names() == [".take", FIRST]


def test_a_node_of_an_older_release_gets_the_command_and_archives_from_its_next_start() -> None:
    host = ScriptedHost(see_whether="no\n")
    host.drive(archiving().begin(NODE))
    written = {one.path.rpartition("/")[2]: str(one.content) for one in host.commands if isinstance(one, Put)}
    assert "archive_mode = on\n" in written["dtrove.conf"]
    assert f"archive_timeout = '{PIECE_SECONDS - 5}s'" in written["dtrove-archive.conf"]
    assert host.titles[-1] == "read how the log is kept"
    seen = looked("spool\n0\n", WELL.replace("|on|", "|off|"))
    assert (seen.runs, seen.covers) == (False, None)


def test_a_node_that_knows_the_command_is_not_written_to_again() -> None:
    host = ScriptedHost(see_whether="yes\n")
    host.drive(archiving().begin(NODE))
    assert "write postgresql.conf" not in host.titles


def test_the_end_of_an_archive_leaves_no_spool_and_no_bound(engine: Engine) -> None:
    engine.finish(FIRST)
    host = engine.host()
    host.drive(archiving().end(engine.node))
    assert not engine.spool.exists()
    (bound,) = [one for one in host.commands if isinstance(one, Put)]
    assert "archive_timeout" not in str(bound.content)
    assert not engine.look().runs


def test_segments_are_numbered_through_whatever_their_size() -> None:
    listed = "spool\n0\n0000000A00000001000000FF 16777216 1796040000.25\n0000000A0000000200000000 16777216 1796040001\n"
    first, second = looked(listed).pieces
    assert first == Piece("700-0000000A", 0x1FF, "0000000A00000001000000FF", 16777216, 1796040000.25)
    assert second.number == first.number + 1
    (large,) = looked("spool\n0\n000000010000000100000003 67108864 1\n", WELL.replace("16777216", "67108864")).pieces
    assert large.number == 64 + 3


def test_a_history_goes_with_the_line_that_it_tells_of() -> None:
    seen = looked("spool\n0\n00000002.history 41 1796040000\nstranger 1 1\n")
    assert seen.beside == (("700-00000002", "00000002.history"),)
    assert seen.pieces == ()


def test_an_archive_whose_last_attempt_has_failed_vouches_for_nothing() -> None:
    seen = looked("spool\n1\n", WELL.replace("|\n", f"|{FIRST}\n"))
    assert (seen.failing, seen.covers) == (FIRST, None)


@pytest.mark.parametrize(
    ("told", "listed"), [("", "spool\n0\n"), (WELL, ""), (WELL, "spool\nmany\n"), ("a|b|c|d|e|f\n", "none\n0\n")]
)
def test_what_cannot_be_read_is_an_error_and_no_empty_spool(told: str, listed: str) -> None:
    with pytest.raises(CommandFailed, match="does not say how its log is kept"):
        looked(listed, told)


def test_a_simulated_host_answers_like_one_where_nothing_waits() -> None:
    host = ScriptedHost(**{"": lambda command: Result(stdout=getattr(command, "sample", ""))})
    assert host.drive(archiving().look(NODE)) == Spool(0.0, "7000000000000000001-00000001")


def test_a_manager_without_an_archive_has_none_in_its_configuration() -> None:
    class Unkept(PostgresManager):
        archiving_class: type[Archiving] | None = None

    assert "archive" not in Unkept(MANAGER.datastore).render_config_file(NODE)
    assert "archive_mode = on" in MANAGER.render_config_file(NODE)


def test_the_command_is_shorter_than_what_releases_before_16_have_room_for_and_takes_any_folder() -> None:
    place = replace(NODE, data_dir="/mnt/it's 100% mine")
    line = archiving().command(place)
    assert len(line) < 1000
    assert "100%% mine" in line
    assert subprocess.run(["sh", "-c", line.replace("%%", "%")], check=False).returncode == 0


def test_the_first_segment_of_a_line_goes_on_where_another_of_the_same_system_ended() -> None:
    def joins(line: str, last: int) -> bool:
        first = Piece("700-00000002", 8, "000000020000000000000008", 1, 0.0)
        return archiving().joins(LogRun("k", "c", "n", line, 1, last, datetime.now(UTC), "local", True, 1), first)

    assert joins("700-00000001", 7)
    assert joins("700-00000001", 8)
    assert not joins("700-00000001", 6)
    assert not joins("701-00000001", 7)


def test_a_node_that_only_follows_writes_no_line() -> None:
    assert looked("spool\n0\n").line == "700-00000001"
    assert looked("spool\n0\n", WELL.replace("|00000001|", "||")).line == ""


def test_runs_are_of_one_line_without_a_hole_and_bounded() -> None:
    def piece(line: str, number: int) -> Piece:
        return Piece(line, number, f"{line}{number}", 1, 0.0)

    given = [piece("b", 4), piece("a", 2), piece("a", 1), piece("a", 4), piece("a", 5), piece("a", 6)]
    found = [[one.name for one in run] for run in runs(given, 2)]
    assert found == [["a1", "a2"], ["a4", "a5"], ["a6"], ["b4"]]
