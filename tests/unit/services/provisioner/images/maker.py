"""A process that makes the host image: `python -m tests.unit.services.provisioner.images.maker PLACE`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

import docker

from services.provisioner.images import HostImage
from tests.unit.services.provisioner.images.engine import FolderEngine

if __name__ == "__main__":
    place = Path(sys.argv[1])
    engine = cast("docker.DockerClient", FolderEngine(place / "engine"))
    HostImage(lambda: engine, place / "cache", root=place).make()
