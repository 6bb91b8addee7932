"""What every datastore manager owes whoever drives it: built-in ones and a stranger's alike."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.datastores.base import BaseManager, Topology
from services.datastore_agentless.datastores.base.manager import one_line
from services.datastore_agentless.domain.backup import Taken
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Job, Put, Result, Run, Script
from services.datastore_agentless.hosts.driver import describe
from services.datastore_agentless.hosts.plan import plan
from services.datastore_agentless.settings import BUILT_IN
from shared.clock import ManualClock
from shared.errors import Failure
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost

EXAMPLES = Path(__file__).parents[2] / "examples" / "manager"
MANAGERS = {
    "mysql": Datastore("1", "mysql", "mysql", "10.11", "debian-12", ["mariadb-server"]),
    "mysql's own packages": Datastore("2", "mysql", "mysql", "8.0", "ubuntu-24", ["mysql-server-8.0"]),
    "pgsql": Datastore("3", "pgsql", "pgsql", "15", "debian-12", ["postgresql-15"]),
    "redis": Datastore("4", "redis", "redis", "7.0", "debian-12", ["redis-server"]),
    "a stranger's": Datastore("5", "backyard.MyBackyardDBManager", "backyard", "1", "debian-12"),
}
BASE = Taken("name-of-a-backup", "1635102")
SERVERS = [name for name in MANAGERS if name != "a stranger's"]
CANARY = "can'ary\"\\ $(id) `id` %s; -- 4711"
ODD_PASSWORDS = [
    "plain",
    "it's",
    'say "x"',
    "back\\slash\\",
    "line\nbreak",
    "a:b",
    "$HOME `id` $(id)",
    "#hash",
    "ä€",
    " ",
]


@pytest.fixture(autouse=True)
def _strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture(params=list(MANAGERS))
def manager(request: pytest.FixtureRequest) -> BaseManager:
    entry = MANAGERS[request.param]
    return load_manager(entry.manager_class, entry, BUILT_IN)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> BaseManager:
    """One that has an administrator with a password."""
    entry = MANAGERS[request.param]
    return load_manager(entry.manager_class, entry, BUILT_IN)


def instance(**values: Any) -> Instance:
    given = {"id": "i", "cluster_id": "c", "name": "node-1", "addr": "10.0.0.7", "user": "root", "ram_mb": 2048,
             "data_dir": "/var/lib/dtrove-data", "admin_user": "dtrove", "admin_password": Secret(CANARY)}  # fmt: skip
    return Instance(**{**given, **values})


def test_it_has_the_name_that_it_is_registered_under(manager: BaseManager) -> None:
    assert manager.name == manager.datastore.manager
    assert manager.datastore.name == f"{manager.name} - {manager.datastore.version}"


def test_whatever_works_on_a_host_is_a_generator_of_commands(manager: BaseManager) -> None:
    assert inspect.isgenerator(manager.at_boot(starts=False))
    for name in (
        "preflight",
        "prepare",
        "install",
        "configure",
        "secure",
        "verify",
        "backup",
        "start",
        "stop",
        "restart",
    ):
        method = getattr(manager, name)
        script = method() if name in ("start", "stop", "restart") else method(instance())
        assert inspect.isgenerator(script), name


def test_making_it_can_be_shown_before_anything_runs(manager: BaseManager) -> None:
    steps = plan(manager.prepare(instance()), (Secret(CANARY),))
    assert len(steps) > 3
    assert all(step.title for step in steps)
    assert all(step.command for step in steps)
    shown = json.dumps([vars(step) for step in steps])
    assert "4711" not in shown


def test_its_shell_is_correct_and_posix(manager: BaseManager) -> None:
    host = ScriptedHost()
    for script in (manager.preflight(instance()), manager.prepare(instance()), manager.verify(instance()),
                   manager.restart(), manager.stop(), manager.at_boot(starts=True), manager.at_boot(starts=False)):  # fmt: skip
        try:
            host.drive(script)
        except Failure:
            continue
    lines = [command.script if isinstance(command, Job) else command.line for command in host.commands
             if not isinstance(command, Put)]  # fmt: skip
    assert len(lines) > 5
    for line in lines:
        done = subprocess.run(["sh", "-n"], input=line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{line}"


def test_no_secret_stands_in_a_command(manager: BaseManager) -> None:
    host = ScriptedHost()
    host.drive(manager.prepare(instance()))
    assert all("4711" not in describe(command) for command in host.commands)
    for command in host.commands:
        text = command.content if isinstance(command, Put) else command.stdin
        assert "4711" not in str(text), "a secret is handed over as plain text"


def test_a_host_that_is_fit_raises_nothing_and_changes_nothing(manager: BaseManager) -> None:
    looked = ScriptedHost(look_at_the_host=lambda command: Result(stdout=command.sample))
    looked.drive(manager.preflight(instance()))
    assert all(isinstance(command, Run) and not command.changes for command in looked.commands)


def test_a_look_at_a_host_tells_how_far_its_clock_is_ahead(manager: BaseManager) -> None:
    manager.clock = ManualClock()
    theirs = int(manager.clock.now().timestamp()) + 7
    looked = ScriptedHost(look_at_the_host=lambda command: Result(stdout=f"{command.sample}clock={theirs}\n"))
    assert looked.drive(manager.preflight(instance())) == 7


def test_a_host_with_too_little_memory_is_refused(manager: BaseManager) -> None:
    little = f"uid=0\napt=/usr/bin/apt-get\nmemory_mb={manager.min_ram_mb // 2}\n"
    with pytest.raises(Failure, match=rf"node-1 is not fit: it has .* {manager.min_ram_mb} are needed"):
        ScriptedHost(look_at_the_host=little).drive(manager.preflight(instance()))


def test_its_configuration_is_rendered_from_its_template(manager: BaseManager) -> None:
    text = manager.render_config_file(instance())
    assert text.startswith("# Written by DTrove")
    other = manager.render_config_file(instance(ram_mb=8192))
    assert other != text, "memory settings follow the flavor"


def test_its_data_lies_on_the_volume(manager: BaseManager) -> None:
    steps = plan(manager.prepare(instance()))
    assert any("/var/lib/dtrove-data/" in step.command + step.content for step in steps)
    without = plan(manager.prepare(instance(data_dir="")))
    assert not any("dtrove-data" in step.command + step.content for step in without)


def test_a_version_s_own_template_goes_before_the_general_one(manager: BaseManager, tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    (folder / "99").mkdir(parents=True)
    (folder / manager.config_template).write_text("general {{ datastore.version }}")
    (folder / "99" / manager.config_template).write_text("version {{ datastore.version }}")

    class Mine(type(manager)):  # type: ignore[misc]
        def _template_places(self) -> list[str]:
            return [str(folder / self.datastore.version), str(folder), *super()._template_places()]

    assert Mine(replace(manager.datastore, version="99")).render_config_file(instance()) == "version 99"
    assert Mine(replace(manager.datastore, version="98")).render_config_file(instance()) == "general 98"


def test_a_subclass_elsewhere_inherits_its_parent_s_templates(manager: BaseManager) -> None:
    inheriting = type("OtherManager", (type(manager),), {"__module__": __name__})
    assert inheriting(manager.datastore).render_config_file(instance()) == manager.render_config_file(instance())


def test_a_parameter_cannot_smuggle_a_line_into_the_configuration(manager: BaseManager) -> None:
    for parameters in ({"x": "1\nport = 1"}, {"x\ny": "1"}):
        if manager.name == "backyard" and "x" not in parameters:
            continue
        with pytest.raises(Failure, match="may not hold a line break"):
            manager.render_config_file(instance(parameters=parameters))
    assert one_line(7) == "7"


def test_parameters_of_the_datastore_and_the_instance_end_up_in_the_configuration(manager: BaseManager) -> None:
    mine = type(manager)(replace(manager.datastore, default_parameters={"a_default": "17", "both": "18"}))
    text = mine.render_config_file(instance(parameters={"both": "19"}))
    assert re.search(r"a_default\W+17", text)
    assert re.search(r"both\W+19", text)
    assert "18" not in text


def test_a_second_prepare_changes_nothing_and_restarts_nothing(server: BaseManager) -> None:
    def unchanged(command: Any) -> Result:
        return Result(changed=False)

    host = ScriptedHost(
        see_what_is_installed="yes", write=unchanged,
        see_whether_the_login_works=lambda command: Result(stdout=command.sample),
    )  # fmt: skip
    host.drive(server.prepare(instance()))
    assert not any(isinstance(command, Job) for command in host.commands)
    assert not any(
        title.startswith(("stop", "set the", "see whether " + server.name + " runs")) for title in host.titles
    )


def test_a_changed_configuration_restarts_what_runs(server: BaseManager) -> None:
    host = ScriptedHost(see_what_is_installed="yes", see_whether=Result(stdout="yes"))
    host.drive(server.prepare(instance()))
    stopped = next(n for n, title in enumerate(host.titles) if title.startswith("stop"))
    started = next(n for n, title in enumerate(host.titles) if title.startswith("start"))
    assert stopped < started


@pytest.mark.parametrize(("starts", "words"), [(True, ("enable", "auto")), (False, ("disable", "manual"))])
def test_whether_it_starts_at_boot_is_told_to_the_init_system_and_stops_nothing(
    server: BaseManager, starts: bool, words: tuple[str, str]
) -> None:
    host = ScriptedHost()
    host.drive(server.at_boot(starts))
    (command,) = host.commands
    if server.name == "pgsql":
        assert isinstance(command, Put)
        assert (command.path, command.content) == ("/etc/postgresql/15/main/start.conf", f"{words[1]}\n")
        return
    assert isinstance(command, Run)
    assert f"systemctl {words[0]} {server.service_name};" in command.line
    assert f"update-rc.d {server.service_name} {words[0]};" in command.line


@pytest.mark.parametrize("password", ODD_PASSWORDS)
def test_any_password_is_handed_over_whole(server: BaseManager, password: str) -> None:
    node = instance(admin_password=Secret(password), admin_user="o'neil")
    host = ScriptedHost()
    host.drive(server.prepare(node))
    assert all(password not in describe(command) for command in host.commands if len(password) > 4)
    secrets = [text.reveal() for command in host.commands
               if isinstance(text := command.content if isinstance(command, Put) else command.stdin, Secret)]  # fmt: skip
    assert secrets
    if server.name == "mysql":
        # Source: MySQL manual, "String Literals".
        literal = next(text for text in secrets if "CREATE USER" in text).split("IDENTIFIED BY '")[1].split("';\n")[0]
        assert literal.replace("''", "'").replace("\\\\", "\\") == password
    elif server.name == "redis":
        # The access list holds the password's SHA-256, and whoever asks is the same.
        assert hashlib.sha256(password.encode()).hexdigest() in secrets[0]
    elif server.name == "pgsql":
        # Source: PostgreSQL manual, "String Constants": standard_conforming_strings is on.
        statement = next(text for text in secrets if "ALTER ROLE" in text)
        assert f"PASSWORD '{password.replace(chr(39), chr(39) * 2)}';" in statement


def takeover_of(topology: Topology) -> dict[str, Script]:
    """Every script by which nodes change places."""
    secret = {"replication_password": Secret(CANARY)}
    one, other = instance(**secret), instance(id="o", name="node-2", addr="10.0.0.8", **secret)
    return {
        "standing": topology.standing(one, one), "freeze": topology.freeze(one), "thaw": topology.thaw(one),
        "promote": topology.promote(other), "demote": topology.demote(one, other),
        "follow": topology.follow(one, other), "reset": topology.reset(one),
    }  # fmt: skip


def all_is_well() -> ScriptedHost:
    """A host that answers as a simulated one does."""
    return ScriptedHost(**{"": lambda command: Result(stdout=getattr(command, "sample", ""))})


def test_a_takeover_s_shell_is_correct_and_posix_shows_no_secret_and_has_titles(server: BaseManager) -> None:
    if server.topology is None:
        return
    for name, script in takeover_of(server.topology).items():
        host = all_is_well()
        host.drive(script)
        assert host.commands, name
        assert all(host.titles), name
        assert "4711" not in host.lines, name
        for command in host.commands:
            told = command.content if isinstance(command, Put) else command.stdin
            assert "4711" not in str(told), name
            if not isinstance(command, Put):
                line = command.script if isinstance(command, Job) else command.line
                done = subprocess.run(["sh", "-n"], input=line, capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{name}: {done.stderr}\n{line}"


def test_where_all_is_well_a_replica_has_all_of_a_frozen_primary_and_follows_it(server: BaseManager) -> None:
    topology = server.topology
    if topology is None:
        return
    one, other = instance(), instance(id="o", name="node-2", addr="10.0.0.8")
    leads, frozen, follows = (
        all_is_well().drive(script)
        for script in (topology.standing(one, one), topology.freeze(one), topology.standing(other, one))
    )
    assert (leads.writable, frozen.writable, follows.writable) == (True, False, False)
    assert follows.received >= frozen.received >= leads.received > 0
    assert (follows.follows, follows.streams, leads.follows, frozen.follows) == (one.addr, True, "", "")


def test_a_dump_s_shell_is_correct_shows_no_secret_and_has_titles(server: BaseManager) -> None:
    dumping = server.dumping
    if dumping is None:
        return
    node = instance()
    lines = [dumping.sends(node), dumping.receives(node)]
    if dumping.increments is not None:
        lines += [dumping.increments.sends(node, BASE), dumping.increments.receives(node, 3)]
    for line in lines:
        done = subprocess.run(["bash", "-n"], input=line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{line}"
        assert "4711" not in line
        assert line.endswith("\n"), "whoever puts it between brackets may close them on the next line"
    assert "\n" not in dumping.login(node).reveal()
    looks = () if dumping.increments is None else (dumping.increments.remembers(node, BASE),)
    for script in (
        dumping.ready(node),
        dumping.mark(node),
        dumping.size(node),
        dumping.take_over(node),
        dumping.room(node),
        *looks,
    ):
        host = all_is_well()
        host.drive(script)
        assert all(host.titles)
        assert "4711" not in host.lines
        for command in host.commands:
            told = command.content if isinstance(command, Put) else command.stdin
            assert "4711" not in str(told)
            if not isinstance(command, Put):
                line = command.script if isinstance(command, Job) else command.line
                done = subprocess.run(["sh", "-n"], input=line, capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{done.stderr}\n{line}"


def test_a_dump_says_where_the_engine_stands_and_how_large_it_is_at_most(server: BaseManager) -> None:
    dumping = server.dumping
    if dumping is None:
        return
    looks = all_is_well()
    mark, size = looks.drive(dumping.mark(instance())), looks.drive(dumping.size(instance()))
    assert mark.engine.endswith(("15.8", "10.11.6-MariaDB", "7.0.15"))
    assert mark.position
    assert mark.at.startswith("20")
    assert mark.at.endswith("Z")
    assert size > 1024 * 1024
    assert not any(getattr(command, "changes", True) for command in looks.commands)


@pytest.mark.parametrize("script", ["mark", "size"])
def test_a_dump_of_an_engine_that_does_not_answer_as_it_should_is_refused(server: BaseManager, script: str) -> None:
    if server.dumping is None:
        return
    odd = ScriptedHost(see="Could not connect|?\n")
    with pytest.raises(CommandFailed, match="does not say"):
        odd.drive(getattr(server.dumping, script)(instance()))


def test_restored_data_are_taken_over_once_and_the_engine_runs_afterwards(server: BaseManager) -> None:
    dumping = server.dumping
    if dumping is None:
        return
    first, again = (
        ScriptedHost(
            see_what_was_restored=f"{answer}\n", **{"": lambda command: Result(stdout=getattr(command, "sample", ""))}
        )
        for answer in ("yes", "done")
    )
    first.drive(dumping.take_over(instance()))
    stopped, moved, started = (
        next(number for number, title in enumerate(first.titles) if title.startswith(words))
        for words in ("stop", "put the restored data in their place", "start")
    )
    assert stopped < moved < started
    again.drive(dumping.take_over(instance()))
    assert not any(title.startswith(("stop", "put", "write")) for title in again.titles), again.titles
    assert any(title.startswith("start") for title in again.titles)


def test_an_answer_in_another_version_is_refused(server: BaseManager) -> None:
    other = ScriptedHost(log_in_and_ask=Result(stdout="redis_version:1.2.3\n" if server.name == "redis" else "1.2.3\n"))
    with pytest.raises(Failure, match=rf"runs {server.name} 1\.2\.3, not {server.datastore.version}"):
        other.drive(server.verify(instance()))


@pytest.mark.parametrize(("words", "sentence"), [
    ("E: You don't have enough free space\ndpkg: error: No space left on device", "the disk of node-1 is full"),
    ("E: Unable to locate package nosuch", "the package source of node-1 does not have"),
    ("E: Failed to fetch http://x/y  Could not connect", "node-1 does not reach its package source"),
    ("dpkg: error: dpkg frontend lock was locked by another process with pid 7", "has held the package manager"),
    ("dpkg: error processing package foo (--configure):", "a package on node-1 could not be set up"),
    ("something new", "could not be installed on node-1"),
])  # fmt: skip
def test_an_installation_that_fails_says_why_and_what_to_do(server: BaseManager, words: str, sentence: str) -> None:
    host = ScriptedHost(see_what_is_installed=Result(code=1), install=Result(code=100, stderr=words))
    with pytest.raises(CommandFailed, match=sentence) as caught:
        host.drive(server.prepare(instance()))
    assert caught.value.stderr == words
    assert caught.value.what_to_do


def test_it_backs_up_by_itself_or_says_that_it_cannot(manager: BaseManager) -> None:
    host = ScriptedHost()
    if manager.name == "backyard":
        host.drive(manager.backup(instance()))
        assert isinstance(host.commands[0], Job)
        return
    with pytest.raises(Failure, match="makes no backups") as caught:
        host.drive(manager.backup(instance()))
    assert "override `backup`" in caught.value.what_to_do


def test_its_url_survives_any_name_and_password(server: BaseManager) -> None:
    url = server.url("fe80::1", server.port, "o'neil", "p@ss/w:rd?#")
    assert url.startswith(f"{server.url_scheme}://o%27neil:p%40ss%2Fw%3Ard%3F%23@[fe80::1]:{server.port}/")
    assert "@10.0.0.7:" in server.url("10.0.0.7", server.port, "dtrove")
