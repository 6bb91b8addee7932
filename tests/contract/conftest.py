"""Providers for the contract, real hosts among them: a home for containers, and a pool of given hosts, made of containers as well.

And backup stores, with a node to fill them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.datastore_agentless.backup_stores.swift.place import SwiftPlace
from services.provisioner.domain.instance import Instance
from services.provisioner.providers.local import clean_up
from shared.cloud import CloudAccount
from shared.config import read
from tests.component.hosts.sshd import Sshd
from tests.contract.backups import LocalShelf, Node, S3Shelf, Shelf, SwiftShelf, shelf_in
from tests.support import clouds
from tests.support.installation import ROOT
from tests.support.pool import Pool, given_hosts
from tests.support.providers import Rig
from tests.support.s3 import S3
from tests.support.swift import Swift


@pytest.fixture(scope="package")
def local_home() -> Iterator[Path]:
    """A home for real hosts, which shares the cached host image of the checkout; all that was made goes with it."""
    with tempfile.TemporaryDirectory(prefix="dtrove-contract-") as name:
        home = Path(name)
        shared = ROOT / "var" / "images"
        shared.mkdir(parents=True, exist_ok=True)
        (home / "images").symlink_to(shared)
        yield home
        clean_up(home)


@pytest.fixture(scope="module")
def pool(local_home: Path) -> Iterator[Pool]:
    """Two bare hosts that somebody has set up, and their list."""
    with given_hosts(local_home) as made:
        yield made


@pytest.fixture(
    scope="module",
    params=[
        "fake",
        "example",
        pytest.param("local", marks=[pytest.mark.real, pytest.mark.slow]),
        pytest.param("static", marks=[pytest.mark.real, pytest.mark.slow]),
        # Where a cloud is named: `make test-openstack` names one.
        *([pytest.param("openstack", marks=[pytest.mark.real, pytest.mark.slow])] if clouds.GIVEN else []),
    ],
)
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    place: Path = tmp_path_factory.mktemp("provider")
    if request.param == "fake":
        yield Rig("fake", {"DTROVE_HOME": str(place)}, place)
    elif request.param == "example":
        yield Rig("examples.provider.provider.TinyProvider", {}, place, remembers=False)
    elif request.param == "local":
        yield Rig("local", {"DTROVE_HOME": str(request.getfixturevalue("local_home"))}, place, real=True)
    elif request.param == "openstack":
        yield Rig("openstack", clouds.options(place), place, real=True, image=clouds.IMAGE)
    else:
        pool = request.getfixturevalue("pool")
        yield Rig("static", {"DTROVE_STATIC_HOSTS": str(pool.file)}, place, real=True)


@pytest.fixture
def server(rig: Rig) -> Iterator[Instance]:
    """A server that is up, and gone after the test."""
    instance = rig.up(rig.instance())
    yield instance
    rig.provider.destroy(instance)


@pytest.fixture(scope="package")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A running sshd that tests share."""
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture
def node(sshd: Sshd, tmp_path: Path) -> Iterator[Node]:
    """A node with data that fill three parts."""
    made = Node(sshd, tmp_path / "node")
    made.folder.mkdir()
    made.write(12)
    yield made
    made.pool.close()


@pytest.fixture
def s3() -> Iterator[S3]:
    """An S3 of the test's own."""
    made = S3()
    yield made
    made.close()


@pytest.fixture
def swift() -> Iterator[Swift]:
    """A Swift of the test's own."""
    made = Swift()
    yield made
    made.close()


@pytest.fixture
def cloud_shelf() -> Iterator[SwiftShelf]:
    """A folder of its own in the Swift of the cloud that somebody has named."""
    account = read(CloudAccount, clouds.options(Path()))
    made = SwiftShelf(SwiftPlace(clouds.CONTAINER, uuid4().hex, account))
    yield made
    for name in made.holds():
        made.behind.delete(name)


@pytest.fixture(
    params=[
        "local",
        "s3",
        "swift",
        *([pytest.param("openstack", marks=[pytest.mark.real, pytest.mark.slow])] if clouds.GIVEN else []),
    ]
)
def shelf(request: pytest.FixtureRequest, tmp_path: Path, node: Node) -> Shelf:
    """A backup store of each kind."""
    if request.param == "local":
        return LocalShelf(tmp_path / "store", node)
    if request.param == "s3":
        return S3Shelf(request.getfixturevalue("s3"))
    if request.param == "swift":
        return shelf_in(request.getfixturevalue("swift"))
    made: SwiftShelf = request.getfixturevalue("cloud_shelf")
    return made
