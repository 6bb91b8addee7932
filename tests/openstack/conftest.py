"""A real OpenStack, which `make test-openstack` names; without one nothing here is collected."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from openstack.connection import Connection

from services.provisioner.providers.openstack import Provider
from shared.options import is_loopback
from tests.support import clouds
from tests.support.installation import Installation
from tests.support.proxy import Proxy
from tests.support.stumbling import Stumbling

collect_ignore_glob = [] if clouds.GIVEN else ["test_*.py"]
# So short that a test of a call that is never answered need not be long.
CALL_SECONDS = "10"


@pytest.fixture(scope="session")
def cloud() -> Connection:
    """A connection of the tests' own, to a project without leftovers of theirs."""
    made = clouds.cloud()
    clouds.clear(made)
    return made


@pytest.fixture(scope="session")
def admin() -> Connection:
    """The same cloud as its administrator, for what a user cannot order: quotas, flavors that fit nowhere."""
    return clouds.admin()


@pytest.fixture(scope="session")
def nova(cloud: Connection) -> Iterator[Stumbling]:
    """Nova, as the installation under test sees it."""
    there = urlsplit(cloud.compute.get_endpoint())
    proxy = Stumbling(f"{there.scheme}://{there.netloc}")
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def swift(cloud: Connection) -> Iterator[str]:
    """Where servers find Swift, with a container that goes with the tests: a cloud on one machine may speak of loopback."""
    there = urlsplit(cloud.object_store.get_endpoint())
    if not is_loopback(str(there.hostname)):
        yield f"{there.scheme}://{there.netloc}"
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            # Nothing is sent: this is the address that others see.
            asked.connect(("198.51.100.1", 9))
            own = asked.getsockname()[0]
        door = Proxy(there.port or 80, str(there.hostname), at=own)
        yield f"{there.scheme}://{own}:{door.port}"
        door.close()
    clouds.remove_container(cloud)


@pytest.fixture(scope="session")
def told(cloud: Connection, nova: Stumbling, swift: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the installation is told of the cloud."""
    place = tmp_path_factory.mktemp("openstack")
    behind = urlsplit(cloud.compute.get_endpoint()).path
    asked = clouds.options(place, OS_NOVA_BYPASS_URL=nova.url + behind, DTROVE_OS_CALL_SECONDS=CALL_SECONDS)
    asked |= {"DTROVE_KEYSTONE_URL": cloud.config.get_auth_args()["auth_url"], "DTROVE_KEYSTONE_SECONDS": "2"}
    asked["DTROVE_BACKUP_STORES"] = (
        f"local=file://{place}/backups swift=swift://{clouds.CONTAINER}/kept?endpoint={swift}"
    )
    return {"DTROVE_PROVIDER": "openstack", **{name: str(value) for name, value in asked.items()}}


@pytest.fixture(scope="session")
def dtrove(told: dict[str, str]) -> Iterator[Installation]:
    """DTrove as `dtrove up` starts it, with the provider openstack."""
    chosen = dict(told)
    with Installation(Path(chosen.pop("DTROVE_HOME")), **chosen) as made:
        yield made


@pytest.fixture
def provider(told: dict[str, str]) -> Provider:
    """The provider by itself, on the same cloud, with the same marks."""
    return Provider(told)
