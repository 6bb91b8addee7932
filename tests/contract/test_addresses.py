"""What every provider promises of clusters' own addresses, where it has such."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from services.provisioner.domain.address import ClusterAddress
from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import Found, NoServer, ProviderBusy
from shared.errors import StaleEpoch, Unsupported
from tests.support.providers import Rig


def address_of(rig: Rig, instance: Instance, epoch: int = 0) -> ClusterAddress:
    """A wish for the address of an instance's cluster, which is taken where the provider has such."""
    address = ClusterAddress(instance.cluster_id, instance.project_id, instance.operation_id, epoch=epoch)
    if rig.provider.supports_addresses:
        rig.provider.take_address(address)
    return address


def places(rig: Rig, address: ClusterAddress) -> list[Found]:
    """What the provider holds with a cluster's tag that is an address."""
    return [one for one in rig.again().list_ours() if (one.kind, one.cluster_id) == ("address", address.cluster_id)]


def two_servers(rig: Rig) -> tuple[Instance, Instance]:
    """Of one cluster."""
    first = rig.up(rig.instance())
    return first, rig.up(replace(rig.instance(), cluster_id=first.cluster_id))


def test_a_cluster_has_one_address_however_often_it_is_asked_for(rig: Rig, server: Instance) -> None:
    address = address_of(rig, server)
    if not rig.provider.supports_addresses:
        for refuses in (rig.provider.take_address, rig.provider.release_address):
            with pytest.raises(Unsupported) as refused:
                refuses(address)
            assert refused.value.what_to_do
        with pytest.raises(Unsupported):
            rig.provider.move_address(address, server)
        return
    again = replace(address, addr="")
    rig.again().take_address(again)
    assert address.addr == again.addr != ""
    assert places(rig, address) == [Found("address", address.addr, "", server.cluster_id)]
    other = address_of(rig, replace(server, cluster_id=str(uuid4())))
    assert other.addr not in (address.addr, server.addr)
    for one in (address, other, other):
        rig.again().release_address(one)
        assert places(rig, one) == []


def test_an_address_leads_to_the_server_that_was_named_last_and_to_no_other(rig: Rig) -> None:
    if not rig.provider.supports_addresses:
        return
    first, second = two_servers(rig)
    address = address_of(rig, first)
    for provider, instance in (
        (rig.provider, first),
        (rig.again(), second),
        (rig.again(), second),
        (rig.provider, first),
    ):
        provider.move_address(address, instance)
        assert places(rig, address) == [Found("address", address.addr, instance.id, first.cluster_id)]
        if rig.real:
            rig.reached(replace(instance, addr=address.addr))
    rig.provider.release_address(address)
    assert places(rig, address) == []
    if rig.real:
        code, _ = rig.run(replace(first, addr=address.addr), "true")
        assert code == 255
    for instance in (first, second):
        rig.provider.destroy(instance)


def test_a_server_that_comes_back_does_not_answer_at_the_address_that_it_had(rig: Rig) -> None:
    if not rig.provider.supports_addresses:
        return
    first, second = two_servers(rig)
    address = address_of(rig, first)
    rig.provider.move_address(address, first)
    rig.provider.power_off(first)
    rig.wait(first, "SHUTOFF")
    with pytest.raises(ProviderBusy):
        rig.provider.move_address(address, first)
    rig.provider.move_address(address, second)
    rig.provider.power_on(first)
    rig.wait(first, "ACTIVE")
    assert [one.instance_id for one in places(rig, address)] == [second.id]
    if rig.real:
        rig.reached(first)
        rig.reached(replace(second, addr=address.addr))
    rig.provider.destroy(second)
    with pytest.raises(NoServer):
        rig.provider.move_address(address, second)
    rig.provider.release_address(address)
    rig.provider.destroy(first)


def test_an_address_that_its_server_has_lost_by_a_reboot_is_seen_to_lead_nowhere(rig: Rig, server: Instance) -> None:
    if not rig.provider.supports_addresses:
        return
    address = address_of(rig, server)
    rig.provider.move_address(address, server)
    rig.provider.power_off(server)
    rig.wait(server, "SHUTOFF")
    assert [one.instance_id for one in places(rig, address)] == [server.id]
    rig.provider.power_on(server)
    rig.wait(server, "ACTIVE")
    assert [one.instance_id for one in places(rig, address)] == [""]
    rig.provider.move_address(address, server)
    assert [one.instance_id for one in places(rig, address)] == [server.id]
    rig.provider.release_address(address)


def test_who_was_replaced_moves_no_address_that_was_moved_after_it(rig: Rig) -> None:
    if not rig.provider.supports_addresses:
        return
    first, second = two_servers(rig)
    address = address_of(rig, first, epoch=3)
    rig.provider.move_address(address, second)
    with pytest.raises(StaleEpoch):
        rig.again().move_address(replace(address, epoch=2), first)
    assert [one.instance_id for one in places(rig, address)] == [second.id]
    rig.provider.move_address(replace(address, epoch=4), first)
    rig.provider.release_address(address)
    for instance in (first, second):
        rig.provider.destroy(instance)


def test_an_address_that_is_left_over_can_be_removed_by_its_clusters_tag_alone(rig: Rig, server: Instance) -> None:
    if not rig.provider.supports_addresses:
        return
    address = address_of(rig, server)
    rig.provider.move_address(address, server)
    (thing,) = places(rig, address)
    rig.provider.remove(replace(thing, cluster_id=str(uuid4())))
    assert places(rig, address) == [thing]
    rig.again().remove(thing)
    rig.provider.remove(thing)
    assert places(rig, address) == []
    assert rig.provider.update_status(server)[0] == "ACTIVE"
