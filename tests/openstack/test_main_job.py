"""From a request to a database that answers, and all that can be done to its server, on Nova; and back to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from services.provisioner.domain.instance import Instance
from services.provisioner.providers.openstack import Provider
from services.provisioner.store import instances, tables
from shared.db import Database, Sealed
from shared.secrets import KeyringFile
from tests.support import clouds
from tests.support.clients import LoginRefused, Redis, Sql
from tests.support.installation import Installation, wait_for

pytestmark = [pytest.mark.real, pytest.mark.slow]

DATASTORES = {"pgsql": "pgsql 15", "mysql": "mysql 10.11", "redis": "redis 7.0"}
MADE = 300


@pytest.fixture(scope="module", params=DATASTORES)
def cluster(request: pytest.FixtureRequest, dtrove: Installation, cloud: Connection) -> Iterator[dict[str, Any]]:
    """A cluster with a volume; once the tests with it are over it goes, and nothing of it is left in the cloud."""
    before = clouds.held(cloud)
    asked, operation = dtrove.create(f"there-{request.param}", DATASTORES[request.param], volume_gb=1)
    ended = dtrove.end_of(operation, MADE)
    assert ended["status"] == "succeeded", ended["problem"]
    login = dtrove.get(f"/v1/clusters/{asked}/credentials")
    yield dtrove.get(f"/v1/clusters/{asked}") | {"kind": request.param, "login": login}
    gone = dtrove.end_of(dtrove.delete(asked), MADE)
    assert gone["status"] == "succeeded", gone["problem"]
    clouds.remove_images(cloud)
    assert clouds.held(cloud) == before


@pytest.fixture
def instance(dtrove: Installation, cluster: dict[str, Any]) -> Instance:
    """The cluster's server as the provisioner knows it."""
    Sealed.keyring = KeyringFile.opened(dtrove.home / "keyring")
    known = Database(f"sqlite:///{dtrove.home}/provisioner.sqlite", "provisioner", tables.metadata)
    with known.read() as connection:
        return instances.get(connection, cluster["instances"][0]["id"])


def answers(cluster: dict[str, Any]) -> bool:
    """Whether a client gets in and finds what it had written."""
    url = cluster["login"]["url"]
    try:
        if cluster["kind"] == "redis":
            client = Redis(url)
            found = client.ask("GET", "fruit") == "pear"
        else:
            client = Sql(url)
            found = [tuple(row) for row in client.rows("select name from shop.fruit")] == [("pear",)]
        client.close()
    except (OSError, LoginRefused):
        return False
    return found


def perform(dtrove: Installation, cluster: dict[str, Any], command: str) -> dict[str, Any]:
    path = f"/v1/instances/{cluster['instances'][0]['id']}/perform"
    answer = dtrove.ask("POST", path, {"name": "look", "commands": [command]})
    assert answer.status_code == 202, answer.text
    return dtrove.end_of(answer.json()["id"])


def came_back(dtrove: Installation, cluster: dict[str, Any]) -> bool:
    """Whether the database answers after its server has booted.

    In a container systemd leaves the devices of fstab alone: what it would do in a virtual machine is done by hand then.
    """
    unit = {"pgsql": "postgresql@15-main", "mysql": "mariadb", "redis": "redis-server"}[cluster["kind"]]
    ended = perform(
        dtrove,
        cluster,
        f"mountpoint -q /var/lib/dtrove-data || {{ mount -a && systemctl reset-failed && systemctl restart {unit}; }}",
    )
    return ended["status"] == "succeeded" and answers(cluster)


def test_a_user_writes_into_the_database_at_the_url_that_was_answered(cluster: dict[str, Any]) -> None:
    if cluster["kind"] == "redis":
        client = Redis(cluster["login"]["url"])
        assert client.ask("SET", "fruit", "pear") == "OK"
    else:
        client = Sql(cluster["login"]["url"])
        client.rows("create database shop" if cluster["kind"] == "mysql" else "create schema shop")
        client.rows("create table shop.fruit (name varchar(20))")
        client.rows("insert into shop.fruit values ('pear')")
        client.rows("commit")
    client.close()
    assert answers(cluster)


def test_the_data_lie_on_cinder_s_volume(dtrove: Installation, cluster: dict[str, Any]) -> None:
    ended = perform(dtrove, cluster, "mountpoint /var/lib/dtrove-data && ls /var/lib/dtrove-data")
    assert ended["status"] == "succeeded", ended["problem"]
    assert "is a mountpoint" in ended["output"]
    assert cluster["kind"] in ended["output"]


def test_the_server_is_kept_from_others_by_rules_of_its_own(cloud: Connection, cluster: dict[str, Any]) -> None:
    (group,) = cloud.network.security_groups(name=f"dtrove-{cluster['id']}")
    inward = [rule for rule in group.security_group_rules if rule["direction"] == "ingress"]
    ports = {rule["port_range_min"] for rule in inward if rule["remote_ip_prefix"]}
    assert ports == {22, cluster["endpoint"]["primary"]["port"]}
    assert all(rule["remote_ip_prefix"] not in (None, "0.0.0.0/0", "::/0") for rule in inward if rule["port_range_min"])
    assert {rule["remote_group_id"] for rule in inward if not rule["port_range_min"]} == {group.id}


def test_snapshots_of_server_and_volume_are_made(cloud: Connection, provider: Provider, instance: Instance) -> None:
    image = provider.snapshot(instance, "before the upgrade")
    wait_for(lambda: cloud.image.get_image(image).status == "active", 60, what="the image")
    snapshot = provider.snapshot_volume(instance, "before the upgrade")
    assert cloud.block_storage.get_snapshot(snapshot).volume_id == instance.volume.id


def test_the_database_is_back_after_power_went_off_and_on(
    dtrove: Installation, provider: Provider, instance: Instance, cluster: dict[str, Any]
) -> None:
    provider.power_off(instance)
    wait_for(lambda: provider.update_status(instance)[0] == "SHUTOFF", 60, 1, "SHUTOFF")
    assert not answers(cluster)
    provider.power_on(instance)
    wait_for(lambda: provider.update_status(instance)[0] == "ACTIVE", 60, 1, "ACTIVE")
    wait_for(lambda: came_back(dtrove, cluster), 60, 1, "the database after its server came back")


def test_the_database_is_back_after_its_server_has_grown(
    dtrove: Installation, cloud: Connection, provider: Provider, instance: Instance, cluster: dict[str, Any]
) -> None:
    larger = next(one for one in provider.flavors() if one.ram_mb > instance.flavor.ram_mb)
    provider.resize(instance, larger)
    assert cloud.compute.get_server(instance.server).flavor["original_name"] == larger.name
    provider.resize(instance, larger)
    wait_for(lambda: came_back(dtrove, cluster), 60, 1, "the database after its server has grown")


def test_the_console_is_a_witness(provider: Provider, instance: Instance) -> None:
    assert provider.console_output(instance, 20).strip()
    assert len(provider.console_output(instance, 20).splitlines()) <= 20
