"""The shell of MariaDB's increments, with a tool in the place of mariadb-backup that says what that one would."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from services.datastore_agentless.datastores.mysql.copying import COPIED_AT
from services.datastore_agentless.datastores.mysql.increments import MEMORY, PageIncrements
from services.datastore_agentless.domain.backup import Taken
from services.datastore_agentless.domain.instance import Instance
from tests.unit.services.datastore_agentless.scripted import ScriptedHost
from tests.unit.services.datastore_agentless.test_dumping import MYSQL, NODE, PGSQL, REDIS

# Prints what it was told to, and leaves the number that the data stand at where it was told to.
_BACKUP = """mariadb-backup() {{
  for word; do case $word in --extra-lsndir=*) dir=${{word#*=}};; --incremental-lsn=*) since=${{word#*=}};; esac; done
  printf 'backup_type = x\\nfrom_lsn = %s\\nto_lsn = {lsn}\\nlast_lsn = 9\\n' "${{since:-0}}" > "$dir/{file}"
  echo "pages since ${{since:-0}}"
}}
"""
# Unpacks a line into a file, and notes what was worked into what.
_RESTORE = """mbstream() { cat > "${3:?}/pages"; }
mariadb-backup() {
  step=${!#}
  case $step in --incremental-dir=*) step=${step#*=}; cat "$step/pages" >> "$PLACE.restoring/applied";;
    *) cp "$PLACE.restoring/pages" "$PLACE.restoring/applied";; esac
}
install() { mkdir -p "${!#}"; }
chown() { :; }
"""


@pytest.fixture
def node(tmp_path: Path) -> Instance:
    """One whose data lie here."""
    (tmp_path / "mysql").mkdir()
    return replace(NODE, data_dir=str(tmp_path))


@pytest.fixture
def increments() -> PageIncrements:
    made = MYSQL.increments
    assert isinstance(made, PageIncrements)
    return made


def send(dump: str, lsn: str = "100", file: str = "xtrabackup_checkpoints") -> subprocess.CompletedProcess[str]:
    """Run what sends; what it tells beside its stream comes behind that."""
    script = (
        f"set -euo pipefail\n{_BACKUP.format(lsn=lsn, file=file)}dump() (\n{dump})\nexec 7>&2\ndump 2>/dev/null | cat\n"
    )
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=False)


def taken(done: subprocess.CompletedProcess[str]) -> Taken:
    """What it says that the data remember."""
    assert done.returncode == 0, done
    word, name, position = done.stderr.split()
    assert word == "taken"
    return Taken(name, position)


def remembers(increments: PageIncrements, node: Instance, base: Taken) -> bool:
    """What the node's own shell says."""
    asked = ScriptedHost()
    asked.drive(increments.remembers(node, base))
    done = subprocess.run(["sh", "-c", asked.lines], capture_output=True, text=True, check=True)
    return bool(ScriptedHost(see=done.stdout).drive(increments.remembers(node, base)))


@pytest.mark.parametrize("file", ["xtrabackup_checkpoints", "mariadb_backup_checkpoints"])
def test_a_backup_leaves_its_name_among_the_data_and_the_next_one_takes_what_is_younger(
    increments: PageIncrements, node: Instance, file: str
) -> None:
    done = send(MYSQL.sends(node), "100", file)
    assert done.stdout == "pages since 0\n"
    full = taken(done)
    assert full.position == "100"
    assert remembers(increments, node, full)
    done = send(increments.sends(node, full), "170", file)
    assert done.stdout == "pages since 100\n"
    one = taken(done)
    assert (one.position, one.name == full.name) == ("170", False)
    assert remembers(increments, node, one)
    assert remembers(increments, node, full), "another one may build upon it as well"
    left = sorted(path.name for path in Path(node.data_dir, "mysql").iterdir())
    assert left == [MEMORY]
    assert list(Path("/run").glob("dtrove-lsn.*")) == []


def test_data_that_were_put_in_the_place_of_others_or_set_back_are_not_gone_on_with(
    increments: PageIncrements, node: Instance
) -> None:
    memory = Path(node.data_dir, "mysql", MEMORY)
    full = taken(send(MYSQL.sends(node)))
    before = memory.read_text()
    one = taken(send(increments.sends(node, full), "170"))
    for words in (before, "", None):
        memory.unlink()
        if words is not None:
            memory.write_text(words)
        assert not remembers(increments, node, one)
        done = send(increments.sends(node, one), "200")
        assert (done.returncode, done.stdout) == (1, "")
        memory.touch()


def test_a_number_that_has_gone_backwards_fails_the_backup_and_has_the_next_one_be_full(
    increments: PageIncrements, node: Instance
) -> None:
    full = taken(send(MYSQL.sends(node), "100"))
    done = send(increments.sends(node, full), "90")
    assert (done.returncode, done.stderr) == (1, "")
    assert not remembers(increments, node, full)


def test_a_full_backup_that_does_not_say_how_far_it_reaches_is_one_that_nobody_builds_upon(node: Instance) -> None:
    for lsn in ("", "none"):
        done = send(MYSQL.sends(node), lsn)
        assert (done.returncode, done.stdout, done.stderr) == (0, "pages since 0\n", "")
    Path(node.data_dir, "mysql").rmdir()
    done = send(MYSQL.sends(node))
    assert (done.returncode, done.stderr) == (0, ""), "a full disk does not make a backup any worse"


def test_the_data_remember_the_last_hundred_and_no_more(increments: PageIncrements, node: Instance) -> None:
    memory = Path(node.data_dir, "mysql", MEMORY)
    memory.write_text("".join(f"name-{number} {number}\n" for number in range(200)))
    full = taken(send(MYSQL.sends(node)))
    assert len(memory.read_text().splitlines()) == 100
    assert remembers(increments, node, full)
    assert not remembers(increments, node, Taken("name-1", "1"))


def test_a_chain_is_put_together_in_order_and_has_its_name_only_when_all_of_it_is_there(
    increments: PageIncrements, node: Instance
) -> None:
    place = Path(node.data_dir, "mysql")
    script = f"set -euo pipefail\nPLACE={place}\n{_RESTORE}load() (\n{increments.receives(node, 3)})\n"
    for number, whole in ((1, False), (2, False), (3, True)):
        done = subprocess.run(["bash", "-c", f"{script}load {number}"], input=f"stream {number}\n", capture_output=True, text=True, timeout=30,
                              check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert place.with_name("mysql.restored").exists() == whole
        assert not place.with_name("mysql.restoring-step").exists()
    restored = place.with_name("mysql.restored")
    assert (restored / "applied").read_text() == "stream 1\nstream 2\nstream 3\n"
    assert (restored / COPIED_AT).exists()


def test_an_increment_that_cannot_be_worked_in_fails_the_restore(increments: PageIncrements, node: Instance) -> None:
    tool = "mariadb-backup() { echo 'not proper for the target' >&2; return 1; }\n"
    script = f"set -euo pipefail\nPLACE={node.data_dir}/mysql\n{_RESTORE}{tool}load() (\n{increments.receives(node, 2)})\nload 2\n"
    done = subprocess.run(["bash", "-c", script], input="", capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert not Path(node.data_dir, "mysql.restored").exists()


def test_room_is_what_is_free_and_what_a_restore_has_filled_already(node: Instance) -> None:
    asked = ScriptedHost(see="7 5\n")
    assert asked.drive(MYSQL.room(node)) == 12
    Path(node.data_dir, "mysql.restoring").mkdir()
    Path(node.data_dir, "mysql.restoring", "file").write_bytes(b"x" * 1_000_000)
    done = subprocess.run(["sh", "-c", asked.lines], capture_output=True, text=True, check=True)
    free, filled = map(int, done.stdout.split())
    assert free > 0
    assert 1_000_000 <= filled < 2_000_000


def test_engines_whose_backups_are_always_whole_say_what_to_do_in_place_of_incremental_ones() -> None:
    assert MYSQL.full_only == ""
    for dumping in (PGSQL, REDIS):
        assert dumping.increments is None
        assert dumping.full_only.startswith("has no incremental backups: ")
    assert "DTROVE_ARCHIVE_SECONDS" in PGSQL.full_only
