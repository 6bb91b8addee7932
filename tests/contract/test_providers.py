"""What every provider promises, proved of each one: in memory, in the guide's example, with containers, with given hosts,
and in a real OpenStack where one is named."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from uuid import uuid4

import pytest

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import BaseProvider, NoServer, ProviderBusy, ProviderError
from shared.errors import StaleEpoch, Unsupported
from tests.support.installation import wait_for
from tests.support.providers import Rig, make_key


def test_a_server_is_asked_for_without_waiting_and_comes_up_with_address_user_and_progress(rig: Rig) -> None:
    instance = rig.instance()
    rig.provider.create(instance)
    assert instance.progress < 100
    assert instance.user
    rig.wait(instance, "ACTIVE")
    assert (instance.server_status, instance.progress) == ("ACTIVE", 100)
    assert instance.server
    assert instance.addr
    assert instance.local_id
    rig.provider.destroy(instance)


def test_progress_never_runs_backwards_while_a_server_is_built(rig: Rig) -> None:
    instance, seen = rig.instance(), [0]
    rig.provider.create(instance)
    while rig.provider.update_status(instance)[0] != "ACTIVE":
        assert seen[-1] <= instance.progress <= 100
        seen.append(instance.progress)
    rig.provider.destroy(instance)


def test_asking_twice_even_from_another_process_gives_one_server(rig: Rig, server: Instance) -> None:
    forgetful = replace(server, server="", addr="")
    rig.again().create(forgetful)
    rig.provider.create(server)
    assert forgetful.server == server.server
    assert [one.id for one in rig.provider.list_ours() if one.instance_id == server.id] == [server.server]


def test_a_server_is_found_by_its_tag_also_after_a_restart(rig: Rig, server: Instance) -> None:
    found = rig.again().find(server.id)
    assert found is not None
    assert (found.kind, found.id, found.instance_id, found.cluster_id) == (
        "server", server.server, server.id, server.cluster_id,
    )  # fmt: skip
    assert rig.provider.find(str(uuid4())) is None


def test_two_instances_get_two_servers(rig: Rig, server: Instance) -> None:
    other = rig.up(rig.instance())
    assert other.server != server.server
    assert other.addr != server.addr
    assert {server.id, other.id} <= {one.instance_id for one in rig.provider.list_ours()}
    rig.provider.destroy(other)
    assert rig.provider.update_status(server)[0] == "ACTIVE"


def test_a_destroyed_server_is_gone_and_destroying_it_again_is_no_error(rig: Rig) -> None:
    instance = rig.up(rig.instance())
    rig.provider.destroy(instance)
    assert rig.provider.find(instance.id) is None
    assert instance.id not in {one.instance_id for one in rig.provider.list_ours()}
    assert rig.provider.update_status(instance)[0] == "DELETED"
    rig.provider.destroy(instance)
    rig.again().destroy(instance)


def test_one_found_thing_can_be_removed_and_nothing_else_goes_with_it(rig: Rig, server: Instance) -> None:
    other = rig.up(rig.instance(volume_gb=1 if rig.provider.supports_volumes else 0))
    if other.volume is not None:
        rig.provider.attach_volume(other)
    things = rig.held(other.id)
    assert {one.kind for one in things} == ({"server", "volume"} if other.volume else {"server"})
    for number, thing in enumerate(sorted(things, key=lambda one: one.kind), 1):
        rig.again().remove(thing)
        assert thing not in rig.held(other.id)
        assert len(rig.held(other.id)) == len(things) - number
        rig.provider.remove(thing)
    assert rig.provider.update_status(other)[0] == "DELETED"
    assert rig.provider.update_status(server)[0] == "ACTIVE"
    rig.provider.destroy(other)


def test_what_does_not_carry_the_tag_stays_whatever_its_id_is(rig: Rig, server: Instance) -> None:
    (thing,) = rig.held(server.id)
    rig.provider.remove(replace(thing, instance_id=str(uuid4())))
    rig.provider.remove(replace(thing, id="nothing-of-this-name"))
    assert rig.held(server.id) == [thing]
    assert rig.provider.update_status(server)[0] == "ACTIVE"


def test_of_two_servers_with_one_tag_the_named_one_goes(rig: Rig, server: Instance) -> None:
    if not rig.double(server):
        # A container's name and a host's lease hold the instance's id: there can be no second one.
        assert rig.real
        return
    extra = next(one for one in rig.held(server.id) if one.id != server.server)
    rig.provider.remove(extra)
    assert [one.id for one in rig.held(server.id)] == [server.server]


def test_destroying_what_never_was_is_no_error(rig: Rig) -> None:
    rig.provider.destroy(rig.instance())


def test_a_server_can_be_destroyed_before_its_name_was_stored(rig: Rig) -> None:
    instance = rig.instance()
    rig.provider.create(replace(instance))
    rig.again().destroy(instance)
    assert rig.provider.find(instance.id) is None


def test_an_instance_can_have_a_server_again_after_it_was_undone(rig: Rig) -> None:
    instance = rig.up(rig.instance())
    rig.provider.destroy(instance)
    again = rig.up(replace(instance, server="", addr="", server_status="UNKNOWN"))
    assert rig.provider.find(instance.id) is not None
    rig.provider.destroy(again)


def test_who_was_replaced_destroys_nothing_that_was_built_after_it(rig: Rig) -> None:
    instance = rig.instance()
    instance.epoch = 3
    rig.up(instance)
    with pytest.raises(StaleEpoch):
        rig.again().destroy(replace(instance, epoch=2))
    with pytest.raises(StaleEpoch):
        rig.again().destroy(replace(instance, epoch=2, server=""))
    assert rig.provider.update_status(instance)[0] == "ACTIVE"
    rig.provider.destroy(replace(instance, epoch=4))
    assert rig.provider.update_status(instance)[0] == "DELETED"


def test_power_goes_off_and_on_and_the_address_stays(rig: Rig, server: Instance) -> None:
    before = server.addr
    rig.provider.power_off(server)
    rig.wait(server, "SHUTOFF")
    rig.provider.power_off(server)
    rig.provider.power_on(server)
    rig.wait(server, "ACTIVE")
    rig.provider.power_on(server)
    assert server.addr == before
    if rig.real:
        rig.reached(server)


def test_a_server_that_was_off_has_its_keys_and_its_data_again(rig: Rig) -> None:
    server = rig.up(rig.instance(volume_gb=1 if rig.real and rig.provider.supports_volumes else 0))
    held, host_key = rig.held(server.id), server.host_key
    places = ["/etc/kept"]
    if server.volume is not None:
        rig.provider.attach_volume(server)
        if server.volume.mounted:
            places.append(f"{server.volume.mount_point}/kept")
        held = rig.held(server.id)
    if rig.real:
        rig.reached(server)
        for place in places:
            assert rig.run(server, f"echo data | $(command -v sudo) tee {place} && sync") == (0, "data")
    rig.provider.power_off(server)
    rig.wait(server, "SHUTOFF")
    assert rig.held(server.id) == ([] if rig.name == "static" else held)
    rig.provider.power_on(server)
    rig.wait(server, "ACTIVE")
    assert rig.held(server.id) == held
    assert server.host_key == host_key
    if rig.real:
        rig.reached(server)
        for place in places:
            assert rig.run(server, f"cat {place}") == (0, "data")
    rig.provider.destroy(server)


def test_a_server_that_is_off_can_be_destroyed(rig: Rig) -> None:
    server = rig.up(rig.instance())
    rig.provider.power_off(server)
    rig.wait(server, "SHUTOFF")
    # A given host has to run to be wiped: it is switched on for that, and asked again.
    wait_for(lambda: destroyed(rig, server), 120, what=f"the end of {server.id}")
    assert rig.provider.find(server.id) is None


def test_a_server_that_is_gone_is_known_to_be_gone_when_it_is_to_be_switched_off(rig: Rig) -> None:
    server = rig.up(rig.instance())
    rig.provider.destroy(server)
    with contextlib.suppress(NoServer):
        rig.provider.power_off(server)
    assert rig.provider.update_status(server)[0] == "DELETED"


def destroyed(rig: Rig, instance: Instance) -> bool:
    try:
        rig.provider.destroy(instance)
    except ProviderBusy:
        return False
    return True


def test_a_volume_is_made_once_and_says_where_it_is(rig: Rig) -> None:
    if not rig.provider.supports_volumes:
        with pytest.raises(Unsupported) as refused:
            rig.provider.attach_volume(rig.instance(volume_gb=1))
        assert refused.value.what_to_do
        return
    instance = rig.up(rig.instance(volume_gb=1))
    rig.provider.create_volume(instance)
    rig.provider.attach_volume(instance)
    assert instance.volume is not None
    first = replace(instance.volume)
    rig.provider.attach_volume(instance)
    rig.again().attach_volume(instance)
    assert instance.volume == first
    assert first.id
    assert first.mount_point
    assert first.mounted or first.device
    volumes = [one for one in rig.provider.list_ours() if one.kind == "volume" and one.instance_id == instance.id]
    assert [one.id for one in volumes] == [first.id]
    rig.provider.destroy(instance)
    assert instance.id not in {one.instance_id for one in rig.provider.list_ours()}


def test_a_volume_grows_while_it_is_in_use_and_a_second_wish_changes_nothing(rig: Rig) -> None:
    if not rig.provider.supports_volumes or type(rig.provider).extend_volume is BaseProvider.extend_volume:
        with pytest.raises(Unsupported) as refused:
            rig.provider.extend_volume(rig.instance(volume_gb=1), 2)
        assert refused.value.what_to_do
        return
    instance = rig.up(rig.instance(volume_gb=1))
    rig.provider.attach_volume(instance)
    for provider in (rig.provider, rig.again()):
        provider.extend_volume(instance, 2)
        assert instance.volume is not None
        assert instance.volume.size_gb == 2
    rig.provider.attach_volume(instance)
    volumes = [one for one in rig.provider.list_ours() if one.kind == "volume" and one.instance_id == instance.id]
    assert [one.id for one in volumes] == [instance.volume.id]
    rig.provider.destroy(instance)


def test_a_server_becomes_one_of_another_flavor_and_stays_the_same_server(rig: Rig, server: Instance) -> None:
    sizes = [one for one in rig.provider.flavors() if one.ram_mb > server.flavor.ram_mb]
    larger = sizes[0] if sizes else server.flavor
    if not rig.provider.supports_resize:
        with pytest.raises(Unsupported) as refused:
            rig.provider.resize(server, larger)
        assert refused.value.what_to_do
        return
    before, held = server.addr, rig.held(server.id)
    for provider in (rig.provider, rig.again()):
        provider.resize(server, larger)
        assert server.flavor == larger
    rig.wait(server, "ACTIVE")
    assert (server.addr, rig.held(server.id)) == (before, held)
    if rig.real:
        rig.reached(server)


def test_a_volume_that_nobody_asked_for_is_refused_with_a_sentence(rig: Rig, server: Instance) -> None:
    with pytest.raises((ProviderError, Unsupported)) as refused:
        rig.provider.attach_volume(server)
    assert refused.value.what_to_do


def test_a_snapshot_has_an_id_or_is_refused_with_a_sentence(rig: Rig, server: Instance) -> None:
    if rig.provider.supports_snapshots:
        assert rig.provider.snapshot(server, "Before the upgrade!")
        return
    with pytest.raises(Unsupported) as refused:
        rig.provider.snapshot(server, "before")
    assert refused.value.what_to_do


def test_flavors_come_smallest_first_and_fit_the_datastore(rig: Rig) -> None:
    everything = rig.provider.flavors()
    assert everything
    assert [one.ram_mb for one in everything] == sorted(one.ram_mb for one in everything)
    assert all(one.id and one.name and one.vcpus > 0 and one.disk_gb > 0 for one in everything)
    for datastore, least in (("mysql", 512), ("pgsql", 256), ("redis", 128)):
        assert rig.provider.flavors(datastore) == [one for one in everything if one.ram_mb >= least]


def test_the_console_gives_no_more_lines_than_asked_for(rig: Rig, server: Instance) -> None:
    assert len(rig.provider.console_output(server, 1).splitlines()) <= 1
    assert len(rig.provider.console_output(server).splitlines()) <= 50


def test_a_server_lets_in_the_clusters_key_alone_and_shows_the_key_it_was_born_with(rig: Rig, server: Instance) -> None:
    if not rig.real:
        assert server.addr.endswith(".invalid")
        return
    rig.reached(server)
    assert rig.run(server, "sudo -n id -u || id -u") == (0, "0")
    code, words = rig.run(server, "true", key=make_key(rig.place))
    assert code == 255
    assert "Permission denied" in words
    stranger = rig.instance()
    code, words = rig.run(server, "true", host_key=stranger.host_key)
    assert code == 255
    assert "verification failed" in words
