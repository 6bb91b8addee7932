"""`dtrove check` and `dtrove orphans`: what they print, what they ask, and what they end with."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import pytest

from client import installation
from client.exits import Exit
from client.local import checks
from shared import health
from shared.contracts.state import Sealing
from shared.db import migrate
from shared.db.engine import make_engine
from shared.secrets import Keyring, new_key, write_keyring
from tests.unit.client.conftest import Dtrove
from tests.unit.client.world import World

CONFIG = Path(__file__).parents[3] / "config.yaml"
SERVICES = ("api", "provisioner", "datastore_agentless", "scheduler")


def test_where_all_is_well_it_ends_with_nought_and_a_line_for_each_check(world: World, dtrove: Dtrove) -> None:
    done = dtrove("check")
    assert done.code == 0
    lines = done.out.splitlines()
    assert len(lines) == 16
    assert all(line.startswith("ok ") for line in lines)


def test_a_warning_is_told_with_what_to_do_and_ends_with_nought(world: World, dtrove: Dtrove) -> None:
    world.states.change("api", secrets=Sealing(total=3, old=1))
    done = dtrove("check")
    assert done.code == 0
    assert "warning  keyring" in done.out
    assert "api: 1 of 3" in done.out
    assert "→ `dtrove secrets rotate` seals them anew" in done.out


def test_a_failure_ends_with_one_and_json_says_the_same(world: World, dtrove: Dtrove) -> None:
    world.states.said["scheduler"] = "scheduler did not answer within 3 s"
    done = dtrove("check", "--json")
    assert done.code == Exit.FAILED
    assert done.json["status"] == "failed"
    (found,) = [one for one in done.json["checks"] if one["status"] == "failed"]
    assert found["name"] == "scheduler"
    assert "within 3 s" in found["message"]
    assert len(done.out.splitlines()) == 1


def test_a_token_that_may_not_look_is_refused(world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = dtrove("token", "create", "eye", "--role", "reader", "--json").json["token"]
    monkeypatch.setenv("DTROVE_TOKEN", reader)
    done = dtrove("check")
    assert done.code == Exit.NOT_ALLOWED
    assert "needs the role admin" in done.err
    assert not done.out


def test_an_api_that_is_away_is_the_one_failure_that_is_known(world: World, dtrove: Dtrove) -> None:
    world.stop_server()
    done = dtrove("check")
    world.start_server()
    assert done.code == Exit.UNAVAILABLE
    assert "failed   api" in done.out
    assert "dtrove up --detach" in done.out


def test_on_the_machine_itself_it_sees_more_also_while_nothing_runs(
    world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DTROVE_URL")
    (world.home / "run").mkdir()
    (world.home / "run" / "web").write_text(world.url.removeprefix("http://"))
    done = dtrove("check", "--json")
    assert [one["name"] for one in done.json["checks"]][16:] == [
        "processes", "rabbitmq port", "keyring file", "databases", "disk here", "control plane",
    ]  # fmt: skip
    (world.home / "keyring").unlink()
    world.stop_server()
    found = {one["name"]: one for one in dtrove("check", "--json").json["checks"]}
    world.start_server()
    assert found["api"]["status"] == found["keyring file"]["status"] == found["processes"]["status"] == "failed"
    assert "start it: `dtrove up --detach`" in found["processes"]["what_to_do"]


# What only the machine sees


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation's directory, as it is between two runs."""
    for name in ("AMQP_URI", "DTROVE_KEYRING", "DTROVE_URL", "DTROVE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    made = tmp_path / "home"
    monkeypatch.setenv("DTROVE_HOME", str(made))
    installation.init(made)
    (made / "run").mkdir()
    for service in SERVICES:
        migrate.upgrade(service, f"sqlite:///{made}/{service}.sqlite")
    return made


def here(home: Path) -> dict[str, checks.LocalCheck]:
    return {one.name: one for one in checks.look(home, CONFIG)}


def test_files_that_are_as_they_should_be_are_ok_while_nothing_runs(home: Path) -> None:
    found = here(home)
    assert {name: one.status for name, one in found.items()} == {
        "processes": "failed", "rabbitmq port": "failed", "keyring file": "ok", "databases": "ok", "disk here": "ok",
        "control plane": "ok",
    }  # fmt: skip


def test_a_keyring_that_is_gone_damaged_or_open_to_others_is_told(home: Path) -> None:
    path = home / "keyring"
    path.chmod(0o644)
    assert here(home)["keyring file"].status == "warning"
    write_keyring(path, Keyring((new_key(), new_key())))
    assert here(home)["keyring file"].message.endswith("holds 2 keys")
    path.write_text("no key\n")
    assert here(home)["keyring file"].status == "failed"
    path.unlink()
    assert here(home)["keyring file"].status == "failed"
    assert "its copy" in here(home)["keyring file"].what_to_do


def put_version(home: Path, service: str, version: str) -> None:
    engine = make_engine(f"sqlite:///{home}/{service}.sqlite")
    with engine.connect() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = ?", (version,))
    engine.dispose()


def test_a_database_that_a_newer_version_has_touched_is_told(home: Path) -> None:
    put_version(home, "scheduler", "9999")
    found = here(home)["databases"]
    assert found.status == "failed"
    assert found.message.startswith("newer than the code here: scheduler has 9999")


def test_a_database_that_waits_for_its_upgrade_is_told(home: Path) -> None:
    put_version(home, "provisioner", "")
    found = here(home)["databases"]
    assert found.status == "failed"
    assert "older than the code here: provisioner has no version" in found.message
    assert "restart" in found.what_to_do


def test_a_database_that_is_not_there_yet_is_not_made_by_looking(home: Path) -> None:
    (home / "scheduler.sqlite").unlink()
    assert here(home)["databases"].status == "ok"
    assert not (home / "scheduler.sqlite").exists()


def test_a_disk_with_little_room_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage(home).free
    monkeypatch.setattr(health, "DISK_WARNING", free * 2)
    assert here(home)["disk here"].status == "warning"
    monkeypatch.setattr(health, "DISK_FAILED", free * 2)
    assert here(home)["disk here"].status == "failed"


# Orphans


def test_orphans_are_listed_and_where_there_are_none_that_is_said(world: World, dtrove: Dtrove) -> None:
    assert "and nothing else" in dtrove("orphans", "list").err
    world.provisioner.find("server-1", "doubled")
    done = dtrove("orphans", "list")
    assert "doubled" in done.out
    assert "server-1" in done.out
    assert [one["id"] for one in dtrove("orphans", "list", "--json").json] == ["server-1"]


def test_clean_asks_first_and_removes_nothing_without_a_yes(
    world: World, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.provisioner.find("server-1")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    done = dtrove("orphans", "clean", "server-1")
    assert done.code == Exit.FAILED
    assert "the server server-1 is unknown" in done.err
    assert world.provisioner.cleaned == []


def test_clean_removes_what_is_named_and_can_wait_until_it_is_gone(world: World, dtrove: Dtrove) -> None:
    for name in ("server-1", "server-2"):
        world.provisioner.find(name)
    done = dtrove("orphans", "clean", "server-1", "--yes", "--json")
    assert (done.code, [one["removal"] for one in done.json]) == (0, ["under_way"])
    done = dtrove("orphans", "clean", "server-2", "--yes", "--wait", "--json")
    assert (done.code, done.json) == (0, [])
    assert world.provisioner.cleaned == ["server-1", "server-2"]


def test_clean_all_leaves_out_what_is_gone_already(world: World, dtrove: Dtrove) -> None:
    world.provisioner.find("server-1")
    world.provisioner.find("server-lost", "gone")
    assert dtrove("orphans", "clean", "--all", "--yes").code == 0
    assert world.provisioner.cleaned == ["server-1"]
    world.provisioner.found = [one for one in world.provisioner.found if one["why"] == "gone"]
    assert "nothing is to be removed" in dtrove("orphans", "clean", "--all", "--yes").err


def test_what_could_not_be_removed_ends_with_one(world: World, dtrove: Dtrove) -> None:
    world.provisioner.find("server-1")
    world.provisioner.stubborn = True
    done = dtrove("orphans", "clean", "server-1", "--yes", "--wait", "--timeout", "30")
    assert done.code == Exit.FAILED
    assert "server-1" in done.err


def test_clean_wants_ids_or_all_and_only_what_is_there(world: World, dtrove: Dtrove) -> None:
    assert dtrove("orphans", "clean", "--yes").code == Exit.REFUSED
    assert dtrove("orphans", "clean", "x", "--all", "--yes").code == Exit.REFUSED
    assert dtrove("orphans", "clean", "x", "--yes").code == Exit.NOT_FOUND
