"""Hosts that have the databases' packages already, as an operator's own image would: one is ready in a third of the time.

What installs packages is tried with the stock image, by the tests that are about it; the others would only repeat it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import docker.errors

from services.datastore_agentless.catalogue import SEED
from services.datastore_agentless.datastores.base import packages
from services.provisioner.images import ensure_image, image_name
from services.provisioner.providers.local.engine import connect
from services.provisioner.providers.local.host import PACKAGES_DIR
from services.provisioner.providers.local.provider import STOCK_IMAGES
from services.provisioner.providers.lock import locked
from tests.support.installation import ROOT, Installation

IMAGES = ROOT / "var" / "images"
# What prepares a host does it, with the settings of a job.
_BUILD = """set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
dtrove-packages borrow
( {install} ) </dev/null >/tmp/installed
dtrove-packages lend
apt-get clean
"""


def gild(dtrove: Installation) -> None:
    """Have an installation make its hosts from an image that holds the packages of all built-in datastores."""
    _use(dtrove, golden_image(dtrove.home))


@contextmanager
def stock_images(dtrove: Installation) -> Iterator[None]:
    """For the length of the block, have the hosts of one that was gilded made from the stock image."""
    _use(dtrove, STOCK_IMAGES[0])
    try:
        yield
    finally:
        gild(dtrove)


def golden_image(home: Path) -> str:
    """The image's name; it is made, with the container engine of the installation in `home`, by whoever comes first."""
    wanted = sorted({package for _, _, needed in SEED for package in needed})
    stock, script = image_name(), _BUILD.format(install=packages.install(wanted))
    name = f"localhost/dtrove-golden-{hashlib.sha256((stock + script).encode()).hexdigest()[:12]}:latest"
    client = connect(home)
    with locked(IMAGES / "golden.lock"):
        if not _has(client, name):
            _make(client, ensure_image(client, IMAGES, print), script, name)
    return name


def _use(dtrove: Installation, image: str) -> None:
    """What a test has added to the catalogue keeps its own image."""
    built_in = {f"{manager} - {version}" for manager, version, _ in SEED}
    for one in dtrove.get("/v1/datastores")["datastores"]:
        if one["name"] not in built_in:
            continue
        answer = dtrove.ask("PATCH", f"/v1/datastores/{one['id']}", {"image": image})
        assert answer.status_code == 200, answer.text


def _has(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    return True


def _make(client: docker.DockerClient, stock: str, script: str, name: str) -> None:
    lent = IMAGES / "packages"
    lent.mkdir(parents=True, exist_ok=True)
    container = client.containers.run(
        stock, ["sleep", "infinity"], detach=True, network_mode="host",
        mounts=[docker.types.Mount(PACKAGES_DIR, str(lent), type="bind")],
    )  # fmt: skip
    try:
        code, output = container.exec_run(["sh", "-c", script])
        assert code == 0, output.decode(errors="replace")[-3000:]
        container.commit(repository=name.removesuffix(":latest"), tag="latest")
    finally:
        container.remove(force=True)
