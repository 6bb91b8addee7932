"""A pool of given hosts: who gets one, what is left of a tenant, and what is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import NoServer, ProviderBusy, ProviderError
from services.provisioner.providers.static import Provider
from tests.contract.conftest import Pool
from tests.support.providers import Rig, make_key

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture
def rig(pool: Pool, tmp_path: Path) -> Iterator[Rig]:
    made = Rig("static", {"DTROVE_STATIC_HOSTS": str(pool.file)}, tmp_path)
    yield made
    pool.write(pool.told())
    for found in made.provider.list_ours():
        left = made.instance()
        left.id, left.server = found.instance_id, found.id
        made.provider.destroy(left)


def test_many_who_ask_at_once_never_share_a_host(rig: Rig) -> None:
    wishes = [rig.instance() for _ in range(5)]

    def ask(wish: Instance) -> str:
        try:
            rig.again().create(wish)
        except ProviderError:
            return ""
        return wish.server

    with ThreadPoolExecutor(5) as pool:
        given = [name for name in pool.map(ask, wishes) if name]
    assert sorted(given) == ["shelf-1", "shelf-2"]


def test_an_empty_pool_is_said_with_each_hosts_reason_and_what_to_do(rig: Rig) -> None:
    for _ in range(2):
        rig.provider.create(rig.instance())
    with pytest.raises(ProviderError, match="no host of flavor shelf is free") as refused:
        rig.provider.create(rig.instance())
    assert refused.value.stderr == "shelf-1: leased\nshelf-2: leased"
    assert "add hosts" in refused.value.what_to_do


def test_a_tenant_leaves_no_package_no_process_no_data_and_no_key(rig: Rig, pool: Pool) -> None:
    tenant = rig.up(rig.instance())
    install = (
        "DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends redis-server >/dev/null 2>&1"
    )
    assert (
        pool.on_host(tenant.server, f"{install} && service redis-server start </dev/null >/dev/null 2>&1; echo $?")
        == "0"
    )
    pool.on_host(
        tenant.server,
        "echo mine > /var/lib/redis/secret; mkdir -p /var/lib/dtrove/jobs; echo 14 > /var/lib/dtrove/fence",
    )
    assert pool.on_host(tenant.server, "pgrep -c -x redis-server") == "1"
    assert rig.run(tenant, "true")[0] == 0
    rig.provider.destroy(tenant)
    left = "ls -d /var/lib/redis /etc/redis /var/lib/dtrove /var/lib/dtrove-lease* 2>/dev/null; " \
           "pgrep -x redis-server; dpkg -l 'redis*' 2>/dev/null | grep -E '^(ii|rc)'; true"  # fmt: skip
    assert pool.on_host(tenant.server, left) == ""
    assert rig.run(tenant, "true")[0] == 255
    again = rig.up(rig.instance())
    assert rig.run(again, "true")[0] == 0


def test_the_pools_own_wipe_script_runs_before_a_host_is_given_back(rig: Rig, pool: Pool) -> None:
    script = pool.file.with_name("wipe.sh")
    script.write_text('rm -f /srv/tenant; echo "wiped by $(id -un) it\'s done" > /root/wiped\n')
    pool.write(pool.told() | {"wipe_script": script.name})
    tenant = rig.up(rig.instance())
    pool.on_host(tenant.server, "touch /srv/tenant")
    rig.provider.destroy(tenant)
    assert pool.on_host(tenant.server, "cat /root/wiped; ls /srv; rm /root/wiped") == "wiped by root it's done"


def test_a_wipe_that_fails_keeps_the_host_leased_and_says_why(rig: Rig, pool: Pool) -> None:
    script = pool.file.with_name("wipe.sh")
    script.write_text("echo 'the shredder is jammed' >&2; exit 3\n")
    pool.write(pool.told() | {"wipe_script": script.name})
    tenant = rig.up(rig.instance())
    with pytest.raises(ProviderError) as failed:
        rig.provider.destroy(tenant)
    assert "the shredder is jammed" in failed.value.stderr
    assert rig.provider.find(tenant.id) is not None


def test_a_host_with_a_database_of_its_own_is_never_leased(rig: Rig, pool: Pool) -> None:
    for name in ("shelf-1", "shelf-2"):
        pool.on_host(name, "mkdir -p /var/lib/mysql && echo precious > /var/lib/mysql/ibdata1")
    try:
        with pytest.raises(ProviderError) as refused:
            rig.provider.create(rig.instance())
        assert "shelf-1: it is not bare: /var/lib/mysql is there already" in refused.value.stderr
        assert pool.on_host("shelf-1", "cat /var/lib/mysql/ibdata1") == "precious"
    finally:
        for name in ("shelf-1", "shelf-2"):
            pool.on_host(name, "rm -r /var/lib/mysql")


def test_a_host_that_shows_another_key_is_not_used_and_no_login_is_tried(rig: Rig, pool: Pool) -> None:
    told = pool.told()
    told["hosts"] = told["hosts"][:1]
    told["hosts"][0]["host_key"] = rig.instance().host_key
    pool.write(told)
    with pytest.raises(ProviderError) as refused:
        rig.provider.create(rig.instance())
    assert "another host key" in refused.value.stderr


def test_a_host_that_does_not_let_us_in_is_said_so(rig: Rig, pool: Pool) -> None:
    told = pool.told() | {"private_key_file": str(make_key(rig.place))}
    pool.write(told)
    with pytest.raises(ProviderError) as refused:
        rig.provider.create(rig.instance())
    assert "does not let root in" in refused.value.stderr
    assert "does not let ops in" in refused.value.stderr


def test_a_dead_host_is_passed_over_and_cannot_be_given_back_until_it_is_off_the_list(rig: Rig, pool: Pool) -> None:
    tenant = rig.up(rig.instance())
    told = pool.told()
    for host in told["hosts"]:
        if host["name"] == tenant.server:
            # Nobody listens there: the port is refused at once.
            host["port"] = 9
    pool.write(told)
    assert rig.provider.update_status(tenant)[0] == "UNKNOWN"
    assert tenant.message
    with pytest.raises(ProviderBusy, match="cannot be wiped") as failed:
        rig.provider.destroy(tenant)
    assert "take it off" in failed.value.what_to_do
    other = rig.up(rig.instance())
    assert other.server != tenant.server
    pool.write(told | {"hosts": [host for host in told["hosts"] if host["name"] != tenant.server]})
    rig.provider.destroy(tenant)
    assert rig.provider.update_status(tenant)[0] == "DELETED"


def test_a_host_without_a_word_from_its_board_is_never_called_off(rig: Rig, pool: Pool) -> None:
    tenant = rig.up(rig.instance())
    told = pool.told()
    for host in told["hosts"]:
        host["power"].pop("status")
    pool.write(told)
    rig.provider.power_off(tenant)
    assert rig.provider.update_status(tenant)[0] == "UNKNOWN"
    assert "nobody has said how one sees" in tenant.message
    pool.write(pool.told())
    assert rig.provider.update_status(tenant)[0] == "SHUTOFF"
    rig.provider.power_on(tenant)
    rig.wait(tenant, "ACTIVE")


def test_a_host_that_answers_is_on_whatever_its_board_says(rig: Rig, pool: Pool) -> None:
    tenant = rig.up(rig.instance())
    told = pool.told()
    for host in told["hosts"]:
        host["power"]["status"] = "echo off"
    pool.write(told)
    assert rig.provider.update_status(tenant)[0] == "ACTIVE"
    assert "another host's board" in tenant.message


def test_a_host_that_another_has_leased_by_now_is_not_switched_off(rig: Rig, pool: Pool) -> None:
    former, tenant = rig.instance(), rig.up(rig.instance())
    former.server = tenant.server
    with pytest.raises(NoServer):
        rig.provider.power_off(former)
    assert rig.provider.update_status(tenant)[0] == "ACTIVE"


def test_a_host_that_is_off_is_switched_on_to_be_wiped(rig: Rig, pool: Pool) -> None:
    tenant = rig.up(rig.instance())
    rig.provider.power_off(tenant)
    with pytest.raises(ProviderBusy, match="it is switched on for that"):
        rig.provider.destroy(tenant)
    rig.wait(tenant, "ACTIVE")
    rig.provider.destroy(tenant)
    assert rig.provider.find(tenant.id) is None


def test_what_stood_in_authorized_keys_stays(rig: Rig, pool: Pool) -> None:
    before = pool.on_host("shelf-1", "cat /root/.ssh/authorized_keys")
    tenants = [rig.up(rig.instance()) for _ in range(2)]
    assert before in pool.on_host("shelf-1", "cat /root/.ssh/authorized_keys")
    for tenant in tenants:
        rig.provider.destroy(tenant)
    assert pool.on_host("shelf-1", "cat /root/.ssh/authorized_keys") == before


def test_a_pool_behind_a_jump_host_is_reached_through_it(rig: Rig, pool: Pool) -> None:
    jump = pool.given[0]
    options = rig.options | {
        "DTROVE_SSH_JUMP": f"root@{jump.addr}:22", "DTROVE_SSH_JUMP_KEY_FILE": str(pool.keeper.key),
        "DTROVE_SSH_JUMP_HOST_KEY": jump.host_key,
    }  # fmt: skip
    provider = Provider(options)
    tenant = rig.instance()
    provider.create(tenant)
    assert provider.update_status(tenant)[0] == "ACTIVE"
    wrong = Provider(options | {"DTROVE_SSH_JUMP_HOST_KEY": rig.instance().host_key})
    assert wrong.update_status(tenant)[0] == "UNKNOWN"


def test_no_private_key_is_ever_on_a_host_or_in_a_command_line(rig: Rig, pool: Pool) -> None:
    tenant = rig.up(rig.instance())
    private = tenant.host_key_private.reveal() or rig.key.read_text()
    assert private not in pool.on_host(tenant.server, "cat /root/.ssh/* /home/ops/.ssh/* 2>/dev/null; true")
    assert "PRIVATE" not in subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout
