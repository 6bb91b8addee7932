"""What an operator may choose: where servers boot from, at which addresses they are reached, as whom the cloud is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from openstack.connection import Connection

from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.openstack import Provider
from tests.support import clouds
from tests.support.providers import Rig

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(autouse=True)
def nothing_left(cloud: Connection) -> Iterator[None]:
    before = clouds.held(cloud)
    yield
    assert clouds.held(cloud) == before


def rig(place: Path, **chosen: str) -> Rig:
    return Rig("openstack", clouds.options(place, **chosen), place, real=True, image=clouds.IMAGE)


def test_a_server_boots_from_a_volume_that_goes_with_it(cloud: Connection, tmp_path: Path) -> None:
    there = rig(tmp_path, DTROVE_OS_BOOT_VOLUME_GB="1")
    instance = there.up(there.instance())
    (attached,) = cloud.compute.volume_attachments(instance.server)
    assert cloud.block_storage.get_volume(attached.volume_id).is_bootable
    there.provider.destroy(instance)


def test_a_server_is_reached_at_a_floating_address_where_a_network_for_it_is_named(
    cloud: Connection, tmp_path: Path
) -> None:
    outside = next(one for one in cloud.network.networks() if one.is_router_external)
    there = rig(tmp_path, DTROVE_OS_FLOATING_NETWORK=str(outside.name))
    instance = there.up(there.instance())
    (address,) = cloud.network.ips(description=f"dtrove-{instance.id}")
    assert instance.addr == address.floating_ip_address
    there.again().create(instance)
    assert len(list(cloud.network.ips(description=f"dtrove-{instance.id}"))) == 1
    there.provider.destroy(instance)


def test_the_servers_of_a_cluster_share_key_and_groups_until_the_last_is_gone(
    cloud: Connection, tmp_path: Path
) -> None:
    there = rig(tmp_path)
    first, second = there.instance(), there.instance()
    second.cluster_id = first.cluster_id
    for one in (first, second):
        there.up(one)
    name = f"dtrove-{first.cluster_id}"
    (together,) = [one for one in cloud.compute.server_groups() if one.name == name]
    assert set(together.member_ids) == {first.server, second.server}
    assert len(list(cloud.network.security_groups(name=name))) == 1
    there.provider.destroy(first)
    assert cloud.compute.find_keypair(name) is not None
    there.provider.destroy(second)
    assert cloud.compute.find_keypair(name) is None


def test_a_volume_grows(cloud: Connection, tmp_path: Path) -> None:
    there = rig(tmp_path)
    instance = there.up(there.instance(volume_gb=1))
    there.provider.create_volume(instance)
    assert instance.volume is not None
    there.provider.extend_volume(instance, 2)
    there.provider.extend_volume(instance, 2)
    assert (instance.volume.size_gb, cloud.block_storage.get_volume(instance.volume.id).size) == (2, 2)
    there.provider.destroy(instance)


def test_the_cloud_is_asked_with_a_user_and_a_password_or_with_an_application_credential(
    cloud: Connection, tmp_path: Path
) -> None:
    auth = cloud.config.get_auth_args()
    by_hand = {
        "OS_CLOUD": "", "OS_CLIENT_CONFIG_FILE": "", "OS_AUTH_URL": auth["auth_url"],
        "OS_REGION_NAME": str(cloud.config.get_region_name()),
    }  # fmt: skip
    user = {"OS_USERNAME": auth["username"], "OS_PASSWORD": auth["password"], "OS_PROJECT_ID": cloud.current_project_id}
    flavors = Provider(clouds.options(tmp_path, **by_hand, **user)).flavors()
    assert flavors
    made = cloud.identity.create_application_credential(user=cloud.current_user_id, name=f"dtrove-{uuid4().hex[:8]}")
    try:
        named = {"OS_APPLICATION_CREDENTIAL_ID": made.id, "OS_APPLICATION_CREDENTIAL_SECRET": made.secret}
        assert Provider(clouds.options(tmp_path, **by_hand, **named)).flavors() == flavors
    finally:
        cloud.identity.delete_application_credential(cloud.current_user_id, made)
    with pytest.raises(ProviderError) as refused:
        Provider(clouds.options(tmp_path, **by_hand, **{**user, "OS_PASSWORD": "wrong"})).flavors()
    assert "OS_USERNAME" in refused.value.what_to_do


@pytest.mark.parametrize(("chosen", "words"), [
    ({"DTROVE_OS_NETWORK": "no-such"}, "has no network 'no-such'"), ({}, "has no image 'no-such-image'"),
])  # fmt: skip
def test_what_the_cloud_has_not_is_named_and_nothing_is_left(
    tmp_path: Path, chosen: dict[str, str], words: str
) -> None:
    there = rig(tmp_path, **chosen)
    instance = there.instance()
    instance.image = instance.image if chosen else "no-such-image"
    with pytest.raises(ProviderError, match=words) as refused:
        there.provider.create(instance)
    assert refused.value.what_to_do
    there.provider.destroy(instance)
