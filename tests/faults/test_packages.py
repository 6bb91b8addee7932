"""Row 13: a package manager that is locked, a mirror that is down, a package that is left half way: a clean end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from bench.figures import at_most
from services.datastore_agentless.datastores.base import packages
from services.datastore_agentless.hosts.base import CommandFailed
from tests.component.hosts.real import RealHost, RealHosts, manager_of, real_hosts_of_their_own
from tests.component.hosts.test_real_trouble import HOLD_LOCK
from tests.support.faults import exactly
from tests.support.installation import wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.fault(13), pytest.mark.timeout(3600)]
# A source of one package, whose set-up fails until /root/mended is there. Source: deb-control(5), apt's repository format.
BROKEN = r"""set -e
rm -rf /root/source /root/broken; mkdir -p /root/source /root/broken/DEBIAN
printf 'Package: broken-db\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: breaks\n' > /root/broken/DEBIAN/control
printf '#!/bin/sh\n[ -e /root/mended ] || { echo the set-up broke >&2; exit 3; }\n' > /root/broken/DEBIAN/postinst
chmod 755 /root/broken/DEBIAN/postinst
dpkg-deb --build --root-owner-group /root/broken /root/source/broken-db.deb >/dev/null
cd /root/source
{ cat /root/broken/DEBIAN/control; echo "Filename: ./broken-db.deb"; echo "Size: $(stat -c %s broken-db.deb)"
  echo "SHA256: $(sha256sum broken-db.deb | cut -d' ' -f1)"; } > Packages
echo 'deb [trusted=yes] file:/root/source ./' > /etc/apt/sources.list.d/broken.list
apt-get update -qq >/dev/null 2>&1; echo made"""
# Takes connections and never answers; says where.
HOLE = ("exec perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Listen => 50, LocalAddr => q(127.0.0.1), "
        "LocalPort => 8099) or die; open(F, q(>), q(/run/hole)); sleep 3600'")  # fmt: skip
ELSEWHERE = ("mkdir -p /root/apt; mv /etc/apt/sources.list* /root/apt 2>/dev/null; rm -rf /var/lib/apt/lists/*; "
             "echo 'deb [trusted=yes] http://127.0.0.1:{port}/debian stable main' > /etc/apt/sources.list")  # fmt: skip
HERE = "rm -f /etc/apt/sources.list; mv /root/apt/* /etc/apt/; rmdir /root/apt"


@pytest.fixture(scope="module")
def hosts() -> Iterator[RealHosts]:
    with real_hosts_of_their_own() as made:
        yield made


@pytest.fixture(scope="module")
def host(hosts: RealHosts) -> RealHost:
    return hosts.make()


def refusal(host: RealHost, **changes: object) -> CommandFailed:
    """How an installation fails."""
    with pytest.raises(CommandFailed) as caught:
        host.driver().execute(manager_of("redis", **changes).install(host.node))
    assert caught.value.what_to_do
    return caught.value


def test_a_lock_that_is_never_let_go_ends_the_wait_at_its_limit_with_the_reason(
    host: RealHost, monkeypatch: pytest.MonkeyPatch, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    limit = times(6, packages.LOCK_SECONDS)
    monkeypatch.setattr(packages, "LOCK_SECONDS", limit)
    host.container.exec_run(["sh", "-c", HOLD_LOCK], detach=True)
    wait_for(lambda: host.sh("test -e /run/held && echo yes") == "yes", 10, what="the lock")
    began = time.monotonic()
    try:
        message = refusal(host).message
    finally:
        host.sh("pkill perl; rm -f /run/held")
    taken = time.monotonic() - began
    assert f"another program has held the package manager of {host.node.name} for more than {limit} s" in message
    assert taken >= limit
    figure(
        13,
        f"dpkg's lock never let go, given up after {limit} s and",
        1,
        taken - limit,
        "s",
        at_most(0.2 * limit + 15, "s"),
    )


def test_a_mirror_that_is_down_or_silent_is_named(
    host: RealHost, times: Callable[[int, int], int], figure: Callable[..., None]
) -> None:
    ports = (1, 8099)[: times(1, 2)]
    host.container.exec_run(["sh", "-c", HOLE], detach=True)
    wait_for(lambda: host.sh("test -e /run/hole && echo yes") == "yes", 10, what="the black hole")
    taken = []
    for port in ports:
        host.sh(ELSEWHERE.format(port=port))
        began = time.monotonic()
        try:
            assert "does not reach its package source" in refusal(host).message
        finally:
            host.sh(HERE)
        taken.append(time.monotonic() - began)
    host.sh("pkill perl")
    host.driver().execute(manager_of("redis").install(host.node))
    assert host.sh("dpkg-query -W -f '${Status}' redis-server") == "install ok installed"
    figure(13, "mirrors down or silent, named after at most", len(ports), max(taken), "s", at_most(300, "s"))


def test_a_package_whose_set_up_fails_is_an_error_and_is_finished_once_it_was_mended(
    host: RealHost, figure: Callable[..., None]
) -> None:
    assert host.sh(BROKEN).endswith("made")
    failed = refusal(host, packages=["broken-db"])
    assert f"a package on {host.node.name} could not be set up" in failed.message
    assert "the set-up broke" in failed.stderr
    assert host.sh("dpkg-query -W -f '${Status}' broken-db") == "install ok half-configured"
    # And again, from the half-configured state.
    assert "set up" in refusal(host, packages=["broken-db"]).message
    host.sh("touch /root/mended")
    host.driver().execute(manager_of("redis", packages=["broken-db"]).install(host.node))
    assert host.sh("dpkg-query -W -f '${Status}' broken-db") == "install ok installed"
    figure(13, "half-configured packages taken for installed", 2, 0, "", exactly(0))
