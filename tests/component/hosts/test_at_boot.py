"""Whether databases start at boot, on a host with systemd as its first process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.component.hosts.outside import ASK
from tests.component.hosts.real import DATASTORES, PASSWORD, RealHost, RealHosts, manager_of
from tests.component.hosts.sshd import reaches
from tests.support.installation import wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def host(real_hosts: RealHosts) -> Iterator[RealHost]:
    """One host for all three: their ports and places differ."""
    made = real_hosts.make_systemd()
    for name in DATASTORES:
        made.make(manager_of(name))
    yield made
    made.container.remove(force=True)


def boot(host: RealHost) -> None:
    """Restart the host, and wait until systemd has started all that it is going to."""
    host.container.restart(timeout=10)
    wait_for(lambda: reaches(host.pool, host.target()), 60, what="a login after the reboot")
    settled = ("running", "degraded")
    wait_for(lambda: host.sh("systemctl is-system-running") in settled, 60, 0.5, "the end of the boot")


def running(host: RealHost) -> set[str]:
    """Which of them have a process."""
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
        host.driver().execute(manager_of(name).at_boot(starts=False))
        host.driver().execute(manager_of(name).at_boot(starts=True))
    boot(host)
    assert running(host) == set(DATASTORES)
