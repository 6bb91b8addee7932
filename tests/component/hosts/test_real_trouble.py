"""Hosts that are not fit say why, before anything is changed; what is in the way for a while is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from services.datastore_agentless.hosts.base import CommandFailed, Job, Script
from shared.clock import ManualClock, SystemClock
from shared.errors import Failure
from tests.component.hosts.real import RealHost, RealHosts, manager_of
from tests.support.installation import wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]
# Source: fcntl(2): struct flock on Linux, 64 bit; dpkg locks with F_SETLK.
HOLD_LOCK = (
    "exec perl -e 'use Fcntl; open(F, q(>), q(/var/lib/dpkg/lock-frontend)) or die; "
    "my $l = pack(q(s s x4 q q l), F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $l) or die $!; "
    "open(G, q(>), q(/run/held)); sleep 600'"
)


@pytest.fixture(scope="module")
def host(real_hosts: RealHosts) -> Iterator[RealHost]:
    made = real_hosts.make()
    yield made
    made.container.remove(force=True)


def refusal(host: RealHost, **changes: object) -> Failure:
    manager = manager_of("redis", **changes)
    with pytest.raises(Failure) as caught:
        host.driver().execute(manager.preflight(host.node))
    assert caught.value.what_to_do
    return caught.value


def test_a_fit_host_is_left_as_it_was(host: RealHost) -> None:
    host.sh("touch /run/mark; sleep 1.1")
    host.driver().execute(manager_of("redis").preflight(host.node))
    assert host.sh("find /etc /usr /var/lib -newer /run/mark -type f -not -path '/var/lib/dtrove/*'") == ""


def test_a_package_that_the_source_does_not_have_is_named(host: RealHost) -> None:
    assert "its package source does not have nosuch-db" in refusal(host, packages=["nosuch-db"]).message


def test_a_port_that_another_program_holds_is_named(host: RealHost) -> None:
    host.sh("/usr/sbin/sshd -p 6379 -o PidFile=/run/other.pid")
    try:
        assert "another program listens on port 6379" in refusal(host).message
    finally:
        host.sh("kill $(cat /run/other.pid)")


@pytest.mark.fault(14)
def test_too_little_room_is_told_with_numbers(host: RealHost) -> None:
    node = replace(host.node, data_dir="/dev/shm/data")
    with pytest.raises(Failure, match=r"only \d+ MB are free on /dev/shm/data, 200 are needed"):
        host.driver().execute(manager_of("redis").preflight(node))


def test_too_little_memory_is_told_with_numbers(host: RealHost) -> None:
    manager = manager_of("redis")
    manager.min_ram_mb = 4096
    with pytest.raises(Failure, match=r"it has 512 MB of memory, 4096 are needed"):
        host.driver().execute(manager.preflight(host.node))


def test_a_clock_that_is_wrong_is_told(host: RealHost) -> None:
    manager = manager_of("redis")
    manager.clock = ManualClock(SystemClock().now() + timedelta(hours=1))
    with pytest.raises(Failure, match=r"its clock is 3\d\d\d s behind the controller's"):
        host.driver().execute(manager.preflight(host.node))


def test_a_user_who_is_not_root_is_told(host: RealHost) -> None:
    driver = host.driver(
        target=host.target(prefix="setpriv --reuid=nobody --clear-groups "), root="/tmp/n", memory="/tmp/m"
    )
    host.sh("mkdir -p -m 777 /tmp/n /tmp/m")
    with pytest.raises(Failure, match="commands do not run as root"):
        driver.execute(manager_of("redis").preflight(host.node))


@pytest.mark.fault(13)
def test_a_source_out_of_reach_is_told_and_apt_s_lists_stay(host: RealHost) -> None:
    host.sh("mkdir /root/apt; mv /etc/apt/sources.list* /root/apt; "
            "echo 'deb [trusted=yes] http://127.0.0.1:1/debian stable main' > /etc/apt/sources.list")  # fmt: skip
    try:
        assert "it does not reach its package source: " in refusal(host).message
    finally:
        host.sh("rm /etc/apt/sources.list; mv /root/apt/* /etc/apt/; rmdir /root/apt")
    host.driver().execute(manager_of("redis").preflight(host.node))


@pytest.mark.fault(13)
def test_dpkg_s_lock_is_waited_for_and_its_holder_is_named(host: RealHost) -> None:
    host.container.exec_run(["sh", "-c", HOLD_LOCK], detach=True)
    wait_for(lambda: host.sh("test -e /run/held && echo yes") == "yes", 10, what="the lock")
    told: list[str] = []

    def hear(title: str, _: int | None) -> None:
        told.append(title)
        if "waiting" in title:
            host.sh("pkill perl")

    host.driver(on_progress=hear).execute(manager_of("redis").install(host.node))
    assert "waiting for the package manager, which perl holds" in told
    assert host.sh("dpkg-query -W -f '${Status}' redis-server") == "install ok installed"


def test_nothing_started_while_it_was_installed_and_the_policy_is_gone(host: RealHost) -> None:
    assert host.processes("redis-server") == []
    assert host.sh("ls /usr/sbin/policy-rc.d 2>/dev/null") == ""


@pytest.mark.fault(13)
def test_a_package_that_was_left_half_way_is_finished(host: RealHost) -> None:
    host.sh("apt-get purge -y -qq redis-server redis-tools >/dev/null 2>&1; cd /var/cache/apt/archives; "
            "dpkg --unpack redis-tools_*.deb redis-server_*.deb >/dev/null 2>&1")  # fmt: skip
    assert host.sh("dpkg-query -W -f '${Status}' redis-server") == "install ok unpacked"
    host.driver().execute(manager_of("redis").install(host.node))
    assert host.sh("dpkg-query -W -f '${Status}' redis-server") == "install ok installed"


@pytest.mark.fault(13)
def test_an_installation_that_was_killed_half_way_goes_on(host: RealHost) -> None:
    manager, driver = manager_of("mysql"), host.driver()
    titles: list[str] = []
    killed = threading.Event()

    def kill(title: str, percent: int | None) -> None:
        titles.append(title)
        if percent and percent > 40 and not killed.is_set():
            killed.set()
            host.sh("pkill -KILL apt-get; pkill -KILL dpkg")

    driver.on_progress = kill
    with pytest.raises(CommandFailed):
        driver.execute(manager.install(host.node))
    assert killed.is_set(), titles
    host.driver().execute(manager.install(host.node))
    assert host.sh("dpkg-query -W -f '${Status}' mariadb-server") == "install ok installed"
    assert host.sh("dpkg --audit") == ""


@pytest.mark.fault(14)
def test_a_job_that_fills_the_disk_still_tells_its_end(host: RealHost) -> None:
    host.sh("head -c $(($(df -Pk /dev/shm | awk 'NR==2 {print $4}') - 2000))k /dev/zero > /dev/shm/filler")

    def fill() -> Script:
        return (yield Job("fill", "cat /dev/zero; exit 28", ok_codes=(28,), timeout=120))

    try:
        assert host.driver(root="/dev/shm/dtrove").execute(fill()).code == 28
        assert host.sh("df -Pk /dev/shm | awk 'NR==2 {print $4}'").split()[0] in ("0", "4", "8")
    finally:
        host.sh("rm -rf /dev/shm/dtrove /dev/shm/filler")
