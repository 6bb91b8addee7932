"""The probe of a host: what it prints on this very machine, and what is made of what hosts print."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.datastores.base import BaseManager, probing
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import CommandFailed, Result, Run
from services.datastore_agentless.settings import BUILT_IN
from shared.secrets import Secret
from tests.unit.services.datastore_agentless.scripted import ScriptedHost


def manager(process: str = "") -> BaseManager:
    found = load_manager("redis", Datastore("d", "redis", "redis", "7.0", "debian-12", ["redis-server"]), BUILT_IN)
    found.process = process
    return found


def node(data_dir: str = "") -> Instance:
    return Instance(
        "i", "c", "shop-1", addr="10.0.0.1", data_dir=data_dir, admin_user="u", admin_password=Secret("pw-canary")
    )


def run(command: Run) -> Result:
    done = subprocess.run(["sh", "-c", command.line], capture_output=True, text=True, check=False, timeout=20)
    return Result(done.returncode, done.stdout, done.stderr)


def probed(process: str = "", data_dir: str = "") -> Any:
    return ScriptedHost(look_how_it_is=run).drive(probing.probe(manager(process), node(data_dir)))


def test_the_probe_tells_of_this_machine(tmp_path: Path) -> None:
    found = probed(data_dir=str(tmp_path))
    assert found.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert abs(found.uptime - float(Path("/proc/uptime").read_text().split()[0])) < 30
    assert abs(found.clock - time.time()) < 30
    assert 0 < found.memory_available <= found.memory_total
    assert set(found.disks) == {"data", "root", "tmp"}
    for disk in found.disks.values():
        assert 0 <= disk.free <= disk.size
        assert disk.size > 0
    assert found.process is None


def test_the_probe_sees_whether_the_engine_s_process_lives() -> None:
    mine = Path("/proc/self/comm").read_text().strip()
    assert probed(process=mine).process is True
    assert probed(process="no-such-engine").process is False


def test_a_place_of_data_that_is_not_there_is_looked_for_above(tmp_path: Path) -> None:
    assert probed(data_dir=f"{tmp_path}/not's/there yet").disks["data"].size > 0


def test_the_probe_only_looks_and_is_one_command() -> None:
    host = ScriptedHost(look_how_it_is=probing.SAMPLE)
    host.drive(probing.probe(manager(), node()))
    (command,) = host.commands
    assert isinstance(command, Run)
    assert not command.changes
    assert command.timeout == probing.PROBE_SECONDS


def test_what_a_simulated_host_prints_is_a_host_on_which_all_is_well() -> None:
    found = probing.read(probing.SAMPLE, "shop-1")
    assert found.process is True
    assert found.disks["data"].percent == 90.0


def without(name: str) -> str:
    return json.dumps({key: value for key, value in json.loads(probing.SAMPLE).items() if key != name})


@pytest.mark.parametrize("name", ["boot_id", "uptime", "load", "memory_kb", "clock", "process", "disks"])
def test_what_lacks_something_is_no_answer(name: str) -> None:
    with pytest.raises(CommandFailed, match=f"the probe of shop-1 lacks '{name}'"):
        probing.read(without(name), "shop-1")


@pytest.mark.parametrize(
    "output",
    ["", "sh: awk: not found", "[]", '"x"', probing.SAMPLE[:60], probing.SAMPLE.replace("[9000000,10000000]", "[]"),
     probing.SAMPLE.replace("[9000000,10000000]", "[-1,10000000]"), probing.SAMPLE.replace("86400.5", '"long"'),
     probing.SAMPLE.replace("true", '"yes"'), probing.SAMPLE + probing.SAMPLE],
)  # fmt: skip
def test_what_is_no_probe_s_answer_is_shown_in_the_error(output: str) -> None:
    with pytest.raises(CommandFailed, match="the probe of shop-1 cannot be read"):
        probing.read(output, "shop-1")


def test_a_node_that_is_alone_is_logged_in_to_over_its_network_address() -> None:
    host = ScriptedHost()
    assert host.drive(probing.ask(manager(), node(), None)).answers
    assert host.titles == ["see whether it answers"]
    assert "pw-canary" not in host.lines


def test_an_engine_that_refuses_the_login_does_not_answer() -> None:
    host = ScriptedHost(see_whether_it_answers=Result(code=1, stderr="Could not connect"))
    with pytest.raises(CommandFailed):
        host.drive(probing.ask(manager(), node(), None))
