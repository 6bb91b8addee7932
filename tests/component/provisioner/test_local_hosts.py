"""Hosts made of containers: what they lend each other, who else may be making them, and an end that leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from services.provisioner.domain.instance import Status
from services.provisioner.images import image_name
from services.provisioner.providers.base import ProviderBusy
from services.provisioner.providers.local import Provider, clean_up
from services.provisioner.providers.local.addresses import mac
from services.provisioner.providers.local.engine import connect, installation
from tests.support.installation import ROOT
from tests.support.providers import Rig

pytestmark = [pytest.mark.real, pytest.mark.slow]
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server 2>&1"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """An installation of its own: the host image is shared, packages are not."""
    images = tmp_path / "images"
    images.mkdir()
    for tar in (ROOT / "var" / "images").glob(f"{image_name().removeprefix('localhost/').removesuffix(':latest')}.tar"):
        (images / tar.name).symlink_to(tar)
    yield Rig("local", {"DTROVE_HOME": str(tmp_path)}, tmp_path, real=True)
    clean_up(tmp_path)


def test_two_hosts_install_at_the_same_time_and_the_next_one_downloads_nothing(rig: Rig) -> None:
    first = [rig.up(rig.instance()) for _ in range(2)]
    for one in first:
        rig.reached(one)
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda one: rig.run(one, INSTALL), first))
    assert [code for code, _ in ended] == [0, 0], ended
    assert list((rig.place / "images" / "packages").glob("redis-server_*.deb"))
    third = rig.up(rig.instance())
    rig.reached(third)
    code, said = rig.run(third, INSTALL)
    assert code == 0
    assert "Need to get 0 B/" in said


def test_processes_that_make_the_same_server_at_once_make_one(rig: Rig) -> None:
    instance = rig.instance()
    rig.up(rig.instance())

    def make(_: int) -> str:
        mine = Provider(rig.options)
        for _attempt in range(20):
            try:
                mine.create(instance)
                return instance.server
            except ProviderBusy:
                continue
        raise AssertionError("the engine stayed busy")

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(make, range(4)))) == 1
    assert len([one for one in rig.provider.list_ours() if one.instance_id == instance.id]) == 1


def test_servers_made_at_once_have_addresses_of_their_own(rig: Rig) -> None:
    wishes = [rig.instance() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(rig.up, wishes))
    assert len({wish.addr for wish in wishes}) == 4
    for wish in wishes:
        rig.reached(wish)


def test_a_host_that_was_powered_off_is_where_its_neighbours_send_to(rig: Rig) -> None:
    # A neighbour that stays up keeps the bridge up, and with it the machine's memory of who is where.
    server, _neighbour = rig.up(rig.instance()), rig.up(rig.instance())

    def where() -> set[tuple[str, str]]:
        networks = rig.provider.client.containers.get(server.server).attrs["NetworkSettings"]["Networks"]
        return {(one["IPAddress"], one["MacAddress"]) for one in networks.values()}

    rig.reached(server)
    before = where()
    assert before == {(server.addr, mac(server.addr))}
    rig.provider.power_off(server)
    rig.provider.power_on(server)
    assert where() == before
    rig.reached(server)


def test_a_frozen_host_is_not_called_off_until_it_is(rig: Rig) -> None:
    server = rig.up(rig.instance())
    rig.reached(server)
    rig.provider.client.containers.get(server.server).pause()
    assert rig.provider.update_status(server)[0] == "UNKNOWN"
    assert "frozen" in server.message
    rig.provider.power_on(server)
    assert rig.provider.update_status(server)[0] == "ACTIVE"
    rig.provider.client.containers.get(server.server).pause()
    rig.provider.power_off(server)
    assert rig.provider.update_status(server)[0] == "SHUTOFF"


def test_a_host_that_ended_by_itself_is_off_and_runs_again_when_it_is_switched_on(rig: Rig) -> None:
    server = rig.up(rig.instance())
    server.status = Status.ACTIVE
    rig.reached(server)
    rig.run(server, "kill -TERM 1")
    rig.wait(server, "SHUTOFF")
    rig.provider.power_off(server)
    assert rig.provider.update_status(server)[0] == "SHUTOFF"
    rig.provider.power_on(server)
    rig.reached(server)


def test_an_engine_that_went_away_is_found_again(rig: Rig) -> None:
    instance = rig.up(rig.instance())
    pid_file = rig.place / "run" / "podman.pid"
    if not pid_file.exists():
        # Docker runs here, which is not ours to kill.
        assert connect(rig.place).ping()
        return
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    with pytest.raises(ProviderBusy) as away:
        rig.provider.update_status(instance)
    assert away.value.what_to_do
    assert rig.provider.update_status(instance)[0] == "ACTIVE"
    rig.reached(instance)


def test_a_clean_up_leaves_no_host_no_volume_no_network_no_snapshot_and_no_process(rig: Rig) -> None:
    for _ in range(2):
        instance = rig.up(rig.instance(volume_gb=1))
        rig.provider.attach_volume(instance)
    rig.provider.snapshot(instance, "kept")
    pid_file = rig.place / "run" / "podman.pid"
    service = int(pid_file.read_text()) if pid_file.exists() else 0
    gone = clean_up(rig.place)
    assert sorted(one.split()[0] for one in gone) == ["network", "server", "server", "snapshot", "volume", "volume"]
    assert (
        not service or not Path(f"/proc/{service}/cmdline").exists() or not Path(f"/proc/{service}/cmdline").read_text()
    )
    assert str(rig.place) not in Path("/proc/self/mountinfo").read_text()
    assert str(rig.place) not in subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout
    assert clean_up(rig.place) == []
    left = connect(rig.place)
    label = {"label": f"dtrove-home={installation(rig.place)}"}
    assert not left.containers.list(all=True, filters=label)
    assert not left.networks.list(filters=label)
    assert not left.images.list(filters=label)


def test_ports_that_are_published_on_loopback_lead_to_the_host(rig: Rig) -> None:
    published = Rig("local", rig.options | {"DTROVE_LOCAL_PUBLISH": "always"}, rig.place, real=True)
    instance = published.up(published.instance())
    host, port = instance.reach["22"].split(":")
    assert host == "127.0.0.1"
    assert {"3306", "5432", "6379"} <= set(instance.reach)
    published.reached(replace(instance, addr=host, ssh_port=int(port)))
    assert rig.up(rig.instance()).reach == {}
