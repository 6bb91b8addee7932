"""A real OpenStack that somebody has named for the tests: OS_CLOUD, and OS_CLIENT_CONFIG_FILE where its clouds.yaml is."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from openstack.connection import Connection

from services.provisioner.providers import get_provider
from services.provisioner.providers.openstack.account import Gate, connect
from services.provisioner.providers.openstack.settings import OpenStackSettings
from shared.config import read

GIVEN = bool(os.environ.get("OS_CLOUD"))
MARK = CONTAINER = "dtrove-tests"
IMAGE = os.environ.get("TEST_IMAGE", "debian-12")


def options(place: Path, **more: str) -> dict[str, object]:
    """What the provider is told to work there; `place` is where an installation keeps its files."""
    named = {name: value for name, value in os.environ.items() if name.startswith("OS_")}
    return {"DTROVE_HOME": str(place), "DTROVE_INSTALLATION": MARK, **named, **more}


def held(cloud: Connection) -> Counter[str]:
    """How many things of each kind the project has: what is the same before and after was cleared away."""
    project = cloud.current_project_id
    return Counter({
        "servers": len(list(cloud.compute.servers())),
        "volumes": len(list(cloud.block_storage.volumes())),
        "snapshots": len(list(cloud.block_storage.snapshots())),
        "images": len(list(cloud.image.images(visibility="private"))),
        "ports": len(list(cloud.network.ports(project_id=project))),
        "floating addresses": len(list(cloud.network.ips(project_id=project))),
        "security groups": len(list(cloud.network.security_groups(project_id=project))),
        "server groups": len(list(cloud.compute.server_groups())),
        "keypairs": len(list(cloud.compute.keypairs())),
    })  # fmt: skip


def cloud() -> Connection:
    """A connection of the tests' own."""
    return _connected(options(Path()))


def _connected(asked: dict[str, object]) -> Connection:
    chosen = read(OpenStackSettings, asked)
    return connect(chosen, Gate(chosen.calls_at_once, chosen.call_seconds))


def admin() -> Connection:
    """The cloud as its administrator: another cloud of the same clouds.yaml."""
    asked = {**options(Path()), "OS_CLOUD": os.environ.get("TEST_ADMIN_CLOUD", "admin")}
    return _connected(asked)


def clear(cloud: Connection) -> None:
    """Remove what a run that was broken off has left: everything with the tests' mark, and what belongs to it."""
    provider = get_provider("openstack", options(Path()))
    for found in sorted(provider.list_ours(), key=lambda one: one.kind):
        provider.remove(found)
    for port in cloud.network.ports(project_id=cloud.current_project_id):
        if str(port.name).startswith("dtrove-"):
            cloud.network.delete_port(port)
    for group in cloud.network.security_groups(project_id=cloud.current_project_id):
        if str(group.name).startswith("dtrove-"):
            cloud.network.delete_security_group(group)
    for pair in cloud.compute.keypairs():
        if str(pair.name).startswith("dtrove-"):
            cloud.compute.delete_keypair(pair)
    for together in cloud.compute.server_groups():
        if str(together.name).startswith("dtrove-"):
            cloud.compute.delete_server_group(together)
    remove_images(cloud)


def remove_container(cloud: Connection) -> None:
    """Remove what the tests keep in Swift, where the project has such a container."""
    if CONTAINER in {one.name for one in cloud.object_store.containers()}:
        for kept in cloud.object_store.objects(CONTAINER):
            cloud.object_store.delete_object(kept, container=CONTAINER)
        cloud.object_store.delete_container(CONTAINER)


def remove_images(cloud: Connection) -> None:
    """Remove the snapshots of servers: they are meant to outlive them."""
    for image in cloud.image.images(visibility="private"):
        if (image.properties or {}).get("dtrove-installation") == MARK:
            cloud.image.delete_image(image)
