"""How PostgreSQL's nodes are told to change places, and what is believed of where they stand."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.datastores.pgsql.topology import StreamingReplication
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.standing import Standing
from services.datastore_agentless.hosts.base import CommandFailed, Job, Put, Result, Run
from shared.errors import Retryable
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost


def node(number: int) -> Instance:
    return Instance(id=f"2f0c8b1e-0000-4000-8000-00000000000{number}", cluster_id="c", name=f"shop-{number}", addr=f"10.0.0.{number}",
                    admin_user="dtrove", admin_password=Secret("admin"), replication_password=Secret("w'o:rd"))  # fmt: skip


FORMER, CHOSEN = node(1), node(2)
PGSQL = StreamingReplication(PostgresManager(Datastore("d", "pgsql", "pgsql", "15", "debian-12", ["postgresql-15"])))


@pytest.mark.parametrize(
    ("told", "standing"),
    [
        ("f|50331800|0/3000098||f|", Standing(True, 50331800, "0/3000098")),
        ("t|50331800|0/3000098|10.0.0.1|t|0", Standing(False, 50331800, "0/3000098", "10.0.0.1", True, 0.0)),
        ("t|50331800|0/3000098|10.0.0.1|t|1.25", Standing(False, 50331800, "0/3000098", "10.0.0.1", True, 1.25)),
        ("t|50331800|0/3000098||f|", Standing(False, 50331800, "0/3000098")),
    ],
)
def test_a_node_stands_where_its_database_says(told: str, standing: Standing) -> None:
    host = ScriptedHost(see_where_it_stands=f"{told}\n")
    assert host.drive(PGSQL.standing(CHOSEN, FORMER)) == standing
    assert all(isinstance(one, Run) and not one.changes for one in host.commands)


@pytest.mark.parametrize("answer", [Result(code=2), Result(stdout=""), Result(stdout="t||||f|\n")])
def test_a_database_that_does_not_say_where_it_stands_is_not_believed_to_stand_anywhere(answer: Result) -> None:
    with pytest.raises(CommandFailed):
        ScriptedHost(see_where_it_stands=answer).drive(PGSQL.standing(CHOSEN, FORMER))


def test_a_primary_is_kept_from_writing_before_it_is_stopped_so_that_nobody_starts_it_meanwhile() -> None:
    host = ScriptedHost(see_whether_it_only_reads="f\n", see_where_it_was_frozen="t|7|0/7||f|\n")
    assert host.drive(PGSQL.freeze(FORMER)) == Standing(False, 7, "0/7")
    titles = host.titles
    assert titles.index("have it only read from its next start") < titles.index("stop postgresql")
    assert titles.index("stop postgresql") < titles.index("start postgresql")


def test_one_that_is_frozen_already_is_not_stopped_again() -> None:
    host = ScriptedHost(see_whether_it_only_reads="t\n", see_where_it_was_frozen="t|7|0/7||f|\n")
    host.drive(PGSQL.freeze(FORMER))
    assert not [title for title in host.titles if title.startswith(("stop", "have it", "write down"))]


def test_one_that_does_not_answer_is_frozen_too_and_started_to_say_where_it_stands() -> None:
    host = ScriptedHost(see_whether_it_only_reads=Result(code=2), see_where_it_was_frozen="t|7|0/7||f|\n")
    host.drive(PGSQL.freeze(FORMER))
    assert "write down what is in memory" not in host.titles
    assert "have it only read from its next start" in host.titles


def test_a_new_primary_waits_for_nobody_before_it_takes_its_first_write() -> None:
    host = ScriptedHost(take_writes="t\n")
    host.drive(PGSQL.promote(CHOSEN))
    sync, writes, role = host.commands
    assert isinstance(sync, Put)
    assert "synchronous_standby_names = ''" in str(sync.content)
    assert isinstance(writes, Run)
    assert str(writes.stdin).index("pg_reload_conf") < str(writes.stdin).index("pg_promote")
    assert isinstance(role, Put)
    assert "primary_conninfo" not in str(role.content)


def test_one_that_still_applies_what_it_received_is_asked_again() -> None:
    with pytest.raises(Retryable, match="shop-2 does not take writes"):
        ScriptedHost(take_writes="f\n").drive(PGSQL.promote(CHOSEN))


def test_a_thaw_promotes_before_it_takes_the_mark_away_that_postgresql_itself_removes() -> None:
    host = ScriptedHost(take_writes="t\n")
    host.drive(PGSQL.thaw(FORMER))
    assert host.titles.index("take writes") < host.titles.index("have it write after its next start, too")
    assert not any(isinstance(one, Put) for one in host.commands), "it waits for the same replicas as before"


def test_a_former_primary_lets_go_of_what_it_kept_for_those_who_followed_it() -> None:
    host = ScriptedHost()
    host.drive(PGSQL.demote(FORMER, CHOSEN))
    titles = host.titles
    assert titles.index("write whom to follow") < titles.index("start postgresql") < titles.index("read whom to follow")
    assert titles[-1] == "drop the slots of those who followed it"


def test_data_that_may_have_parted_are_marked_before_the_stop_and_copied_anew_by_the_next_join() -> None:
    host = ScriptedHost()
    host.drive(PGSQL.reset(FORMER))
    assert host.titles.index("mark its data as no copy") < host.titles.index("stop postgresql")
    host = ScriptedHost(see_whether_it_is_a_standby="no\n")
    host.drive(PGSQL.join(FORMER, CHOSEN, CHOSEN))
    assert [one.name for one in host.commands if isinstance(one, Job)] == [f"copy-from-{CHOSEN.id}"]


@pytest.mark.parametrize(
    ("files", "looks", "taken"),
    [
        ({"pgsql/standby.signal": ""}, "yes", None),
        ({"pgsql/standby.signal": "", "pgsql/dtrove-parted": ""}, "no", None),
        ({"pgsql/standby.signal": "", "pgsql/dtrove-parted": "", "pgsql.copy/standby.signal": CHOSEN.id}, "no", True),
        ({"pgsql/dtrove-parted": "", "pgsql.copy/standby.signal": FORMER.id}, "no", False),
        ({"pgsql/PG_VERSION": "", "pgsql.copy/standby.signal": CHOSEN.id}, "no", True),
        ({"pgsql.old/PG_VERSION": "", "pgsql.copy/standby.signal": CHOSEN.id}, "no", True),
        ({"pgsql/standby.signal": "", "pgsql.old/PG_VERSION": ""}, "yes", True),
    ],
)
def test_only_a_whole_copy_of_the_primary_s_takes_the_place_of_what_is_there(
    tmp_path: Path, files: dict[str, str], looks: str, taken: bool | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    host = ScriptedHost(see_whether_it_is_a_standby="no\n")
    host.drive(PGSQL.join(replace(FORMER, data_dir=str(tmp_path)), CHOSEN, CHOSEN))
    lines = {one.title: one.line for one in host.commands if isinstance(one, Run)}
    assert _sh(lines["see whether it is a standby"]).stdout.strip() == looks
    if taken is None:
        return
    assert (_sh(lines["put the copy in its place"]).returncode == 0) is taken
    assert (tmp_path / "pgsql").exists(), "one or the other is always there"
    assert (tmp_path / "pgsql/dtrove-parted").exists() is (not taken)
    assert not (tmp_path / "pgsql.old").exists()


def _sh(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
