"""What is said to a cloud, and how its words are read: options, user-data, states, quotas, devices."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.openstack import quotas
from services.provisioner.providers.openstack.account import _overrides
from services.provisioner.providers.openstack.marks import marks, tags
from services.provisioner.providers.openstack.network import fixed_address
from services.provisioner.providers.openstack.servers import state_of
from services.provisioner.providers.openstack.settings import OpenStackSettings
from services.provisioner.providers.openstack.user_data import user_data
from services.provisioner.providers.openstack.volumes import devices
from shared.cloud import nobody_to_be
from shared.config import ConfigInvalid, read
from shared.contracts.values import Flavor
from shared.secrets import Secret

FLAVOR = Flavor(id="f", name="db", vcpus=2, ram_mb=2048, disk_gb=10)


def instance(user: str = "root") -> Instance:
    return Instance(id="i", cluster_id="c", project_id="p", operation_id="o", name="shop-1", image="debian-12",
                    flavor=FLAVOR, public_key="ssh-ed25519 AAAA", host_key="ssh-ed25519 BBBB",
                    host_key_private=Secret("private"), user=user)  # fmt: skip


def cloud_config(user: str) -> dict[str, Any]:
    text = base64.b64decode(user_data(instance(user))).decode()
    head, _, rest = text.partition("\n")
    assert head == "#cloud-config"
    return dict(json.loads(rest))


def test_a_server_is_born_with_its_host_key_and_no_other() -> None:
    told = cloud_config("root")
    assert told["ssh_keys"] == {"ed25519_private": "private", "ed25519_public": "ssh-ed25519 BBBB"}
    assert (told["ssh_deletekeys"], told["ssh_genkeytypes"], told["ssh_pwauth"]) == (True, [], False)


def test_root_is_let_in_where_root_is_asked_for_and_nobody_else_is_made() -> None:
    told = cloud_config("root")
    assert (told["disable_root"], told["users"], told["ssh_authorized_keys"]) == (False, [], ["ssh-ed25519 AAAA"])


def test_another_user_is_made_with_sudo_and_without_a_password_and_root_is_shut() -> None:
    told = cloud_config("ops")
    assert (told["disable_root"], told["ssh_authorized_keys"]) == (True, [])
    (user,) = told["users"]
    assert (user["name"], user["lock_passwd"], user["ssh_authorized_keys"]) == ("ops", True, ["ssh-ed25519 AAAA"])


@pytest.mark.parametrize(("status", "task", "state"), [
    ("BUILD", "scheduling", ("BUILD", 20)), ("BUILD", "spawning", ("BUILD", 70)), ("BUILD", None, ("BUILD", 10)),
    ("ACTIVE", None, ("ACTIVE", 100)), ("VERIFY_RESIZE", None, ("ACTIVE", 100)), ("PAUSED", None, ("SHUTOFF", 0)),
    ("SHELVED_OFFLOADED", None, ("SHUTOFF", 0)), ("ERROR", None, ("ERROR", 0)), ("SOFT_DELETED", None, ("DELETED", 0)),
    ("SOMETHING_NEW", None, ("UNKNOWN", 0)),
])  # fmt: skip
def test_nova_s_states_become_the_port_s(status: str, task: str | None, state: tuple[str, int]) -> None:
    assert state_of(SimpleNamespace(status=status, task_state=task)) == state


def limits(**absolute: int) -> Any:
    return SimpleNamespace(
        compute=SimpleNamespace(get_limits=lambda: SimpleNamespace(absolute=SimpleNamespace(**absolute)))
    )


def test_a_quota_is_told_with_what_and_how_much() -> None:
    cloud = limits(instances=10, instances_used=10, total_cores=20, total_cores_used=19, total_ram=-1, total_ram_used=9)
    with pytest.raises(ProviderError) as refused:
        quotas.check_servers(cloud, instance())
    assert refused.value.message.endswith(
        "this needs servers: 1 more than the 10 in use, of 10 allowed; vCPUs: 2 more than the 19 in use, of 20 allowed"
    )


def test_a_quota_with_room_or_without_an_end_is_none() -> None:
    quotas.check_servers(limits(instances=10, instances_used=9, total_cores=-1, total_ram=51_200), instance())


def test_a_volume_is_looked_for_by_its_serial_number_first() -> None:
    assert devices("0b5e0e1c-7f0c-4c6e-9d0b-1234", "/dev/vdb").splitlines() == [
        "/dev/disk/by-id/virtio-0b5e0e1c-7f0c-4c6e-9", "/dev/vdb",
    ]  # fmt: skip
    assert len(devices("x", "").splitlines()) == 1


def test_an_address_of_ipv4_goes_before_one_of_ipv6() -> None:
    port = SimpleNamespace(fixed_ips=[{"ip_address": "2001:db8::7"}, {"ip_address": "10.0.0.7"}])
    assert fixed_address(port) == "10.0.0.7"
    assert fixed_address(SimpleNamespace(fixed_ips=None)) == ""


def test_marks_are_the_same_as_metadata_and_as_tags() -> None:
    assert tags(marks(instance(), "dtrove")) == ["dtrove-instance=i", "dtrove-cluster=c", "dtrove-installation=dtrove"]


@pytest.mark.parametrize(("given", "missing"), [
    ({}, {"OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_ID"}),
    ({"OS_USERNAME": "u", "OS_PASSWORD": "p"}, {"OS_PROJECT_ID"}),
    ({"OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_NAME": "n"}, set()),
    ({"OS_APPLICATION_CREDENTIAL_ID": "i"}, {"OS_APPLICATION_CREDENTIAL_SECRET"}),
    ({"OS_CLOUD": "mine"}, set()),
])  # fmt: skip
def test_what_is_missing_to_be_somebody_is_named(given: dict[str, str], missing: set[str]) -> None:
    assert {name for name, _ in nobody_to_be(given, "the provider openstack")} == missing


def test_options_that_are_wrong_are_all_named_at_once() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        read(
            OpenStackSettings,
            {"OS_NOVA_ENDPOINT_TYPE": "sideways", "DTROVE_OS_SSH_FROM": "10.0.0.1/8", "DTROVE_OS_ANTI_AFFINITY": "x"},
        )
    assert len(refused.value.problems) == 3


def test_the_seed_s_options_mean_what_they_meant() -> None:
    chosen = read(OpenStackSettings, {
        "OS_AUTH_URL": "http://keystone:5000/v2.0", "OS_USERNAME": "u", "OS_PASSWORD": "p", "OS_PROJECT_ID": "1",
        "OS_NOVA_ENDPOINT_TYPE": "internalURL", "OS_NOVA_BYPASS_URL": "http://nova/v2.1",
    })  # fmt: skip
    asked = _overrides(chosen)
    assert asked["auth"] == {
        "auth_url": "http://keystone:5000", "username": "u", "password": "p", "user_domain_name": "Default",
        "project_id": "1",
    }  # fmt: skip
    assert (asked["compute_interface"], asked["compute_endpoint_override"]) == ("internal", "http://nova/v2.1")


def test_an_application_credential_goes_before_a_password() -> None:
    chosen = read(OpenStackSettings, {
        "OS_AUTH_URL": "http://keystone:5000/v3", "OS_APPLICATION_CREDENTIAL_ID": "i",
        "OS_APPLICATION_CREDENTIAL_SECRET": "s", "OS_USERNAME": "u",
    })  # fmt: skip
    assert _overrides(chosen)["auth_type"] == "v3applicationcredential"
    assert _overrides(chosen)["auth"]["application_credential_secret"] == "s"
