"""Hosts with systemd as their first process: units, sandboxes, boots and transient jobs instead of scripts and setsid."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Any

import pytest

from services.datastore_agentless.hosts import identity
from services.datastore_agentless.hosts.base import Job
from services.datastore_agentless.hosts.jobs import JobFolder
from shared.errors import Cancelled
from tests.component.hosts import lifelike
from tests.component.hosts.outside import ASK, REFUSALS
from tests.component.hosts.pairs import Pair
from tests.component.hosts.real import DATASTORES, PASSWORD, VOLUME, RealHost, RealHosts, manager_of
from tests.component.hosts.sshd import reaches
from tests.support.installation import wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]
UNITS = {"pgsql": "postgresql@15-main", "mysql": "mariadb", "redis": "redis-server"}


@pytest.fixture(scope="module")
def host(real_hosts: RealHosts) -> Iterator[RealHost]:
    """One host for all three: their ports and places differ."""
    made = real_hosts.make_systemd()
    assert made.sh("cat /proc/1/comm") == "systemd"
    yield made
    made.container.remove(force=True)


@pytest.mark.parametrize("name", list(DATASTORES))
def test_a_datastore_is_made_runs_under_its_unit_and_is_made_again_without_a_change(host: RealHost, name: str) -> None:
    manager = manager_of(name)
    host.make(manager)
    assert manager.datastore.version in ASK[name](host.node.addr, "dtrove", PASSWORD)
    assert host.sh(f"systemctl is-active {UNITS[name]}") == "active"
    assert int(host.sh(f"find {VOLUME}/{name} -type f | wc -l")) >= 1
    before, first = host.processes(manager.process), len(host.entries)
    host.make(manager)
    assert host.processes(manager.process) == before
    assert not any(entry.title.startswith(("stop", "set the", "install")) for entry in host.entries[first:])


@pytest.mark.parametrize("name", list(DATASTORES))
def test_it_stops_and_starts_and_comes_back_after_a_reboot(host: RealHost, name: str) -> None:
    manager = manager_of(name)
    host.driver().execute(manager.stop())
    assert host.processes(manager.process) == []
    with pytest.raises(REFUSALS):
        ASK[name](host.node.addr, "dtrove", PASSWORD)
    host.driver().execute(manager.restart())
    assert ASK[name](host.node.addr, "dtrove", PASSWORD)


@pytest.mark.parametrize("name", list(DATASTORES))
def test_data_are_sent_by_a_transient_unit_and_restored_under_the_database_s_own(host: RealHost, name: str) -> None:
    pair = Pair(manager_of(name), host, host)
    lifelike.load(host, pair.manager)
    before, first = pair.all_of(host), host.processes(pair.manager.process)
    pair.send(host)
    pair.restore()
    assert pair.all_of(host) == before
    assert not set(first) & set(host.processes(pair.manager.process))
    assert host.sh(f"systemctl is-active {UNITS[name]}; rm -f {pair.file}") == "active"


def boot(host: RealHost) -> None:
    """Restart the host, and wait until systemd has started all that it is going to."""
    host.container.restart(timeout=10)
    wait_for(lambda: reaches(host.pool, host.target()), 60, what="a login after the reboot")
    settled = ("running", "degraded")
    wait_for(lambda: host.sh("systemctl is-system-running") in settled, 60, 0.5, "the end of the boot")


def running(host: RealHost) -> set[str]:
    """Which of the databases have a process."""
    return {name for name in DATASTORES if host.processes(manager_of(name).process)}


def test_databases_that_are_left_alone_at_boot_wait_to_be_started_by_name(host: RealHost) -> None:
    for name in DATASTORES:
        host.driver().execute(manager_of(name).at_boot(starts=False))
    assert running(host) == set(DATASTORES), "what runs goes on"
    boot(host)
    assert running(host) == set()
    for name in DATASTORES:
        host.driver().execute(manager_of(name).start())
        assert ASK[name](host.node.addr, "dtrove", PASSWORD)


def test_databases_of_nodes_that_are_alone_come_back_by_themselves(host: RealHost) -> None:
    for name in DATASTORES:
        host.driver().execute(manager_of(name).at_boot(starts=True))
    boot(host)
    for name in DATASTORES:
        wait_for(lambda name=name: _answers(host, name), 60, what=f"{name} after the reboot")


def test_a_new_host_key_is_shown_after_a_reload_of_sshd(host: RealHost) -> None:
    fresh = str(host.driver().execute(identity.make_host_key()))
    assert fresh != host.node.host_key
    host.driver().execute(identity.use_host_key())
    host.node.host_key = fresh
    host.pool.drop(host.target())
    wait_for(lambda: reaches(host.pool, host.target()), 10, what="the new key")


def test_a_job_is_a_transient_unit_with_its_output_and_its_exit_code(host: RealHost) -> None:
    def work() -> Any:
        return (yield Job("work", "read -r a; echo got $a; cat /proc/self/cgroup; exit 7", stdin="in\n", ok_codes=(7,)))

    driver = host.driver(task_id="task-1")
    result = driver.execute(work())
    assert result.code == 7
    assert result.stdout.startswith("got in\n")
    assert "dtrove-task-1-work.service" in result.stdout
    assert driver.execute(work()) == result


def cancelled(host: RealHost, task: str) -> None:
    """Begin a job that leaves its process group, and cancel it once it runs."""

    def check() -> None:
        if host.sh("test -e /run/begun && echo yes") == "yes":
            raise Cancelled("enough")

    def work() -> Any:
        yield Job("tree", "setsid sleep 987 & setsid sleep 987 & touch /run/begun; wait")

    host.sh("rm -f /run/begun")
    driver = host.driver(task_id=task, check=check)
    with pytest.raises(Cancelled):
        driver.execute(work())
    assert host.sh("pgrep -fc '^sleep 987'") == "0"
    assert host.sh(f"test -e /var/lib/dtrove/jobs/{JobFolder(f'{task}-tree').name} || echo gone") == "gone"


def test_cancelling_a_job_ends_even_what_left_its_process_group(host: RealHost) -> None:
    cancelled(host, "task-2")
    # Its processes are gone; systemd itself takes a moment to hear of that.
    units = "systemctl list-units --all --plain --no-legend 'dtrove-task-2*'"
    wait_for(lambda: host.sh(units) == "", 60, what="the end of the unit")


def test_a_systemd_that_does_not_come_to_the_end_of_a_stop_keeps_nobody_from_cancelling(host: RealHost) -> None:
    waiting = """#!/bin/sh
[ "$1" != stop ] || exec sleep 60
exec /usr/bin/systemctl "$@"
"""
    host.sh(f"printf %s {quote(waiting)} > /usr/local/bin/systemctl; chmod 755 /usr/local/bin/systemctl")
    cancelled(host, "task-3")
    host.sh("rm /usr/local/bin/systemctl")


def _answers(host: RealHost, name: str) -> bool:
    try:
        return bool(ASK[name](host.node.addr, "dtrove", PASSWORD))
    except REFUSALS:
        return False
