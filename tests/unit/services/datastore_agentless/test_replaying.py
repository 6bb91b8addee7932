"""How PostgreSQL's data take their log on a node: the real lines in bash, with an engine that does as it is told."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.datastore_agentless.datastores.base.replaying import Place, Replay
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.datastores.pgsql.replaying import LogReplay
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

MANAGER = PostgresManager(Datastore(id="d", manager_class="x", manager="x", version="15", image=""))
MOMENT = datetime(2026, 11, 30, 12, 0, 5, 123456, tzinfo=UTC)
NAMES = tuple(f"00000001000000000000000{number}" for number in (3, 4, 5))
REPLAY = Replay(MOMENT, "700-00000001", NAMES[-1])
UNREACHED = "FATAL:  recovery ended before configured recovery target was reached"
# Says what it was told; ends where it is told to, and writes the history of that.
ENGINE = """#!/bin/bash
printf '%s\\n' "$@" >> "$HOME/told"; cat >> "$HOME/asked"
while [ "$1" != -D ]; do shift; done; d=$2
case $* in *recovery_target_time=*) how=$(cat "$HOME/with"); else=$(cat "$HOME/with");; *) how=$(cat "$HOME/without");; esac
case $how in FATAL*) echo "$how" >&2; exit 1;; esac
printf '1\\t%s\\n\\n' "$how" > "$d/pg_wal/00000002.history"; rm -f "$d/recovery.signal"
"""
TOOLS = {
    "setpriv": 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"', "chown": "", "engine": ENGINE,
    "install": 'for last; do :; done; case " $* " in *" -d "*) mkdir -p "$last";; *) : > "$last";; esac',
}  # fmt: skip


class Host:
    """A node in a folder. `with_target` and `without` are where the engine ends, and how: a position, a tab and words, or its last."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.node = folder, Instance(id="n", cluster_id="c", name="shop-1", data_dir=str(folder))
        self.replaying = MANAGER.replaying
        assert isinstance(self.replaying, LogReplay)
        (folder / "bin").mkdir()
        for name, lines in TOOLS.items():
            tool = folder / "bin" / name
            tool.write_text(lines if lines.startswith("#!") else f"#!/bin/bash\n{lines}\n")
            tool.chmod(0o755)
        self.log, self.data = folder / "pgsql.log", folder / "pgsql.restored"

    def bash(self, lines: str, stream: bytes) -> subprocess.CompletedProcess[bytes]:
        lines = lines.replace(MANAGER.program("postgres"), "engine")
        environ = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(self.folder)}
        return subprocess.run(["bash", "-c", f"set -euo pipefail\nload() (\ncd /\n{lines}\n)\nload"], input=stream,
                              capture_output=True, env=environ, check=False)  # fmt: skip

    def take_in(self, *names: str, size: int = 16_777_216) -> subprocess.CompletedProcess[bytes]:
        return self.bash(
            self.replaying.takes_in(self.node), tarred({name: b"log".ljust(size, b"\0") for name in names})
        )

    def receive(
        self, with_target: str, without: str = "", replay: Replay = REPLAY
    ) -> subprocess.CompletedProcess[bytes]:
        (self.folder / "with").write_text(with_target)
        (self.folder / "without").write_text(without)
        return self.bash(self.replaying.receives(self.node, replay, 1), tarred({"pg_wal/x": b"", "pg_replslot/y": b""}))

    @property
    def told(self) -> list[str]:
        return (self.folder / "told").read_text().splitlines()


def tarred(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return made.getvalue()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    done = made.take_in(*NAMES)
    assert done.returncode == 0, done.stderr
    return made


def test_segments_lie_beside_the_data_and_what_nobody_has_written_in_them_takes_no_room(host: Host) -> None:
    assert sorted(one.name for one in host.log.iterdir()) == list(NAMES)
    first = host.log / NAMES[0]
    assert first.read_bytes()[:4] == b"log\0"
    assert (first.stat().st_size, first.stat().st_blocks * 512 < 1024**2) == (16_777_216, True)


def test_the_engine_is_told_how_far_on_its_command_line_alone_and_nothing_of_it_is_left(host: Host) -> None:
    done = host.receive("0/5000100\tbefore 2026-11-30 12:00:06+00")
    assert done.returncode == 0, done.stderr
    wanted = {"recovery_target_time=2026-11-30 12:00:05.123456+00", "recovery_target_inclusive=on",
              "recovery_target_action=promote", "recovery_target_timeline=1", "hot_standby=off"}  # fmt: skip
    assert wanted <= set(host.told)
    assert host.data.is_dir()
    assert (host.data / "postgresql.auto.conf").read_text() == ""
    assert not [one for one in host.data.rglob("*") if one.suffix in (".signal", ".said")]
    assert not list(host.folder.glob("*.said"))
    assert b"replayed to 0/5000100 before 2026" in done.stdout


def test_what_it_runs_for_a_segment_links_the_one_that_is_there_and_fails_for_any_other(host: Host) -> None:
    host.receive("0/5000100\tafter 2026-11-30 12:00:05+00")
    (line,) = (one.partition("=")[2] for one in host.told if one.startswith("restore_command="))
    for name, code in ((NAMES[0], 0), ("00000002.history", 1)):
        asked = line.replace("%p", f"{host.folder}/came").replace("%f", name).replace("%%", "%")
        assert subprocess.run(["sh", "-c", asked], check=False).returncode == code
    assert (host.folder / "came").samefile(host.log / NAMES[0])


def test_a_folder_of_any_name_is_named_right(tmp_path: Path) -> None:
    folder = tmp_path / "it's 100% mine"
    folder.mkdir()
    made = Host(folder)
    made.take_in(*NAMES)
    assert made.receive("0/5000100\tbefore 2026-11-30 12:00:06+00").returncode == 0
    (line,) = (one.partition("=")[2] for one in made.told if one.startswith("restore_command="))
    asked = line.replace("%p", "came").replace("%f", NAMES[0]).replace("%%", "%")
    assert subprocess.run(["sh", "-c", asked], cwd=folder, check=False).returncode == 0


def test_a_moment_after_which_nothing_was_committed_is_reached_with_the_end_of_the_log(host: Host) -> None:
    done = host.receive(UNREACHED, "0/5000100\tno recovery target specified")
    assert done.returncode == 0, done.stderr
    assert UNREACHED.encode() in done.stderr
    assert sum(one.startswith("recovery_target_time=") for one in host.told) == 1
    assert host.data.is_dir()


@pytest.mark.parametrize("end", ["0/5000000", "0/4FFFF00", "0/3000100"])
def test_a_log_that_ends_before_its_last_segment_does_not_pass_for_an_idle_one(host: Host, end: str) -> None:
    done = host.receive(UNREACHED, f"{end}\tno recovery target specified")
    assert (done.returncode, b"dtrove: the log ends at" in done.stderr) == (1, True)
    assert not host.data.exists()


@pytest.mark.parametrize("end", ["0/5000028", "0/6000000", "1/0"])
def test_a_log_that_ends_in_its_last_segment_or_right_after_it_is_whole(host: Host, end: str) -> None:
    assert host.receive(UNREACHED, f"{end}\tno recovery target specified").returncode == 0


def test_any_other_trouble_of_the_engine_s_is_no_end_of_the_log(host: Host) -> None:
    done = host.receive("FATAL:  could not read pg_control", "0/6000000\tno recovery target specified")
    assert (done.returncode, b"dtrove: the log could not be replayed" in done.stderr) == (1, True)
    assert b"could not read pg_control" in done.stderr
    assert not host.data.exists()


def test_the_line_that_the_way_ends_on_is_the_engine_s_timeline(host: Host) -> None:
    host.receive("0/5000100\tbefore 2026-11-30 12:00:06+00", replay=replace(REPLAY, line="700-0000000B"))
    assert "recovery_target_timeline=11" in host.told


def test_a_backup_needs_the_log_from_where_the_newest_checkpoint_begins() -> None:
    replaying = LogReplay(MANAGER)
    node = Instance(id="n", cluster_id="c", name="shop-1")
    assert ScriptedHost(see_from_where="700|16777216|10|2/3000028\n").drive(replaying.needs_from(node)) == Place(
        "700-0000000A", 2 * 256 + 3
    )
    with pytest.raises(CommandFailed, match="does not say from where on"):
        ScriptedHost(see_from_where="nothing").drive(replaying.needs_from(node))


def test_room_is_looked_for_only_before_anything_lies_there(host: Host) -> None:
    replaying = host.replaying
    assert ScriptedHost(see_how="begun\n").drive(replaying.free(host.node)) is None
    assert ScriptedHost(see_how=" 4096\n").drive(replaying.free(host.node)) == 4096
