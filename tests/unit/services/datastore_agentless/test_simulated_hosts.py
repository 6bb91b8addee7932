"""Hosts that exist in memory alone take a whole cluster through its life."""

from __future__ import annotations

import pytest

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts import identity
from services.datastore_agentless.hosts.base import Job, Put, Run, Script, Target
from services.datastore_agentless.hosts.simulated import SimulatedHosts, SimulatedRunner, is_simulated
from services.datastore_agentless.hosts.transcript import Transcript
from services.datastore_agentless.settings import BUILT_IN
from shared.clock import ManualClock
from shared.errors import StaleEpoch
from shared.secrets import Secret

CANARY = Secret("canary-7f3a9c")


def runner(hosts: SimulatedHosts, name: str = "sim-1", **options: object) -> SimulatedRunner:
    target = Target(name, f"{name}.invalid", 22, "root", Secret(""), "ssh-ed25519 AAAA")
    values = {"task_id": "t", "epoch": 1, "transcript": Transcript(name), "clock": ManualClock(), **options}
    return SimulatedRunner(hosts=hosts, target=target, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "version"), [("mysql", "10.11"), ("pgsql", "15"), ("redis", "7.0")])
def test_every_built_in_datastore_is_prepared_and_verified_on_a_simulated_host(name: str, version: str) -> None:
    manager = load_manager(name, Datastore("d", name, name, version, "debian-12", [f"{name}-server"]), BUILT_IN)
    instance = Instance("i", "c", "sim-1", addr="sim-1.invalid", ram_mb=512, admin_user="u", admin_password=CANARY)
    driver = runner(SimulatedHosts())
    for script in (manager.preflight(instance), manager.prepare(instance), manager.verify(instance)):
        driver.execute(script)
    shown = "".join(entry.command + entry.stdout for entry in driver.transcript.entries)
    assert any(entry.title == "log in and ask" for entry in driver.transcript.entries)
    assert "canary" not in shown


def test_each_simulated_host_makes_a_host_key_of_its_own() -> None:
    hosts = SimulatedHosts()
    keys = {runner(hosts, name).execute(identity.make_host_key()) for name in ("a", "b")}
    assert len(keys) == 2
    assert all(str(key).startswith("ssh-ed25519 ") for key in keys)
    assert runner(hosts, "a").execute(identity.make_host_key()) in keys


def test_a_simulated_host_keeps_files_and_tells_whether_they_changed() -> None:
    hosts = SimulatedHosts()

    def write(text: str) -> Script:
        return (yield Put("/etc/x", text)).changed

    assert [runner(hosts).execute(write(text)) for text in ("1", "1", "2")] == [True, False, True]
    assert hosts.host("sim-1.invalid").files["/etc/x"].content == "2"


def test_a_simulated_job_streams_its_output_and_runs_once_for_its_task() -> None:
    hosts, heard = SimulatedHosts(), list[str]()

    def work() -> Script:
        return (yield Job("build", "make", title="build it")).stdout

    first = runner(hosts, on_output=lambda _, text: heard.append(text)).execute(work())
    assert first == runner(hosts).execute(work()) == "simulated: build it\n"
    assert heard == [first]
    assert list(hosts.host("sim-1.invalid").jobs) == ["t-build"]


def test_a_simulated_host_refuses_an_older_epoch() -> None:
    hosts = SimulatedHosts()

    def look() -> Script:
        yield Run("true")

    runner(hosts, epoch=5).execute(look())
    with pytest.raises(StaleEpoch):
        runner(hosts, epoch=4).execute(look())


def test_a_command_on_a_simulated_host_takes_its_latency() -> None:
    clock = ManualClock()

    def look() -> Script:
        yield Run("true")
        yield Run("true")

    runner(SimulatedHosts(latency=1.5), clock=clock).execute(look())
    assert clock.monotonic() == 3.0


def test_only_names_that_can_never_be_real_are_simulated() -> None:
    assert is_simulated("sim-12345678.invalid")
    assert not is_simulated("10.0.0.7")
    assert not is_simulated("invalid.example.org")
