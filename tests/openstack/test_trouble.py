"""A cloud that stumbles: the wish is granted all the same, once, or its end says why; and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from openstack.connection import Connection

from tests.support import clouds
from tests.support.installation import Installation, wait_for
from tests.support.stumbling import Stumbling

pytestmark = [pytest.mark.real, pytest.mark.slow]

SERVERS = r"/servers$"
MADE = 300
Order = Callable[[Stumbling], None]


@pytest.fixture(autouse=True)
def nothing_left(cloud: Connection, nova: Stumbling) -> Iterator[None]:
    """Whatever a test has met, the cloud holds afterwards what it held before."""
    before = clouds.held(cloud)
    yield
    nova.stumbles.clear()
    assert clouds.held(cloud) == before


def created(dtrove: Installation, name: str, **wish: Any) -> tuple[str, dict[str, Any]]:
    """Ask for a Redis and wait for the end; the cluster's id and the operation."""
    cluster, operation = dtrove.create(name, "redis 7.0", **wish)
    return cluster, dtrove.end_of(operation, MADE)


def deleted(dtrove: Installation, cluster: str) -> None:
    ended = dtrove.end_of(dtrove.delete(cluster), MADE)
    assert ended["status"] == "succeeded", ended["problem"]


STUMBLES: dict[str, Order] = {
    "answers 500": lambda nova: _each(nova, ("POST", SERVERS, "500"), ("GET", r"/servers/", "503")),
    "asks for patience": lambda nova: _order(nova, "POST", SERVERS, "429", retry_after="3"),
    "accepts and never answers": lambda nova: _order(nova, "POST", SERVERS, "late"),
    "restarts": lambda nova: nova.go_away(8.0),
    "cannot make a key pair at first": lambda nova: _order(nova, "POST", r"/os-keypairs$", "late"),
}


def _order(nova: Stumbling, method: str, path: str, fault: str, retry_after: str = "") -> None:
    nova.order(method, path, fault, retry_after=retry_after)


def _each(nova: Stumbling, *orders: tuple[str, str, str]) -> None:
    for order in orders:
        _order(nova, *order)


@pytest.mark.parametrize("trouble", STUMBLES)
def test_a_cluster_comes_about_once_when_nova(
    dtrove: Installation, cloud: Connection, nova: Stumbling, trouble: str
) -> None:
    STUMBLES[trouble](nova)
    ordered = list(nova.stumbles)
    cluster, ended = created(dtrove, f"trouble-{list(STUMBLES).index(trouble)}")
    assert ended["status"] == "succeeded", ended["problem"]
    assert all(one.struck for one in ordered)
    instance = dtrove.get(f"/v1/clusters/{cluster}")["instances"][0]
    tagged = list(cloud.compute.servers(tags=f"dtrove-instance={instance['id']}"))
    assert [one.name for one in tagged] == [instance["name"]]
    deleted(dtrove, cluster)


def test_nova_is_left_alone_for_as_long_as_it_asks(dtrove: Installation, nova: Stumbling) -> None:
    nova.order("POST", SERVERS, "429", retry_after="5")
    cluster, ended = created(dtrove, "patient")
    assert ended["status"] == "succeeded", ended["problem"]
    posted = [at for method, path, at in nova.seen if method == "POST" and path.endswith("/servers")][-2:]
    assert posted[1] - posted[0] >= 5.0
    deleted(dtrove, cluster)


def test_a_delete_comes_to_its_end_when_nova_stumbles(dtrove: Installation, nova: Stumbling) -> None:
    cluster, ended = created(dtrove, "going")
    assert ended["status"] == "succeeded", ended["problem"]
    nova.order("DELETE", r"/servers/", "late")
    nova.order("GET", r"/servers/", "500")
    deleted(dtrove, cluster)
    assert all(one.struck for one in nova.stumbles)


def test_no_server_is_looked_at_more_often_than_every_second(
    dtrove: Installation, cloud: Connection, nova: Stumbling
) -> None:
    nova.seen.clear()
    cluster, ended = created(dtrove, "unhurried")
    assert ended["status"] == "succeeded", ended["problem"]
    (server,) = cloud.compute.servers(tags=f"dtrove-cluster={cluster}")
    looks = [at for method, path, at in nova.seen if method == "GET" and path.endswith(f"/servers/{server.id}")]
    assert len(looks) > 1
    assert all(later - sooner >= 0.95 for sooner, later in pairwise(looks))
    deleted(dtrove, cluster)


def test_a_quota_that_is_used_up_is_told_with_what_and_how_much(
    dtrove: Installation, cloud: Connection, admin: Connection
) -> None:
    project = cloud.current_project_id
    admin.compute.update_quota_set(project, instances=0)
    try:
        cluster, ended = created(dtrove, "no-room")
    finally:
        admin.compute.update_quota_set(project, instances=-1)
    assert ended["status"] == "failed"
    assert "servers: 1 more than the 0 in use, of 0 allowed" in ended["problem"]["message"]
    assert "quota" in ended["problem"]["what_to_do"]
    again = dtrove.ask("POST", f"/v1/operations/{ended['id']}/retry")
    assert again.status_code == 202, again.text
    assert dtrove.end_of(ended["id"], MADE)["status"] == "succeeded"
    deleted(dtrove, cluster)


def test_a_quota_of_volumes_is_told_as_well(dtrove: Installation, cloud: Connection, admin: Connection) -> None:
    project = cloud.current_project_id
    admin.block_storage.update_quota_set(project, gigabytes=0)
    try:
        cluster, ended = created(dtrove, "no-disk", volume_gb=1)
    finally:
        admin.block_storage.update_quota_set(project, gigabytes=-1)
    assert ended["status"] == "failed"
    assert "GB of volumes: 1 more than the 0 in use, of 0 allowed" in ended["problem"]["message"]
    deleted(dtrove, cluster)


def test_a_server_that_fits_nowhere_ends_the_create_with_nova_s_words(dtrove: Installation, admin: Connection) -> None:
    monster = admin.compute.create_flavor(name="monster", ram=1 << 30, vcpus=1, disk=1)
    try:
        dtrove.kill("provisioner")
        wait_for(lambda: _is_known(dtrove, "monster"), 60, 0.5, "the flavor's arrival")
        cluster, ended = created(dtrove, "too-large", flavor="monster")
    finally:
        admin.compute.delete_flavor(monster)
    assert ended["status"] == "failed"
    assert "No valid host was found" in ended["problem"]["message"]
    deleted(dtrove, cluster)


def _is_known(dtrove: Installation, flavor: str) -> bool:
    return flavor in {one["name"] for one in dtrove.get("/v1/flavors")["flavors"]}
