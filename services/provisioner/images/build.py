"""Builds the host image: from the stock Debian image where a registry answers, else with mmdebstrap from apt's sources."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import docker
import docker.errors

from services.provisioner.providers.base import ProviderError

HERE = Path(__file__).parent
SUITE = "bookworm"
RECIPE = ("recipe.sh", "dtrove-host", "Dockerfile.host")
BUILD_SECONDS = 900
# Files of the machine that let apt inside a host fetch what apt outside can.
APT_FILES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources", "/etc/apt/apt.conf.d/*proxy*",
             "/etc/ssl/certs/ca-certificates.crt")  # fmt: skip

Progress = Callable[[str], None]


def image_name() -> str:
    """Name and tag of the image that the present recipe makes."""
    digest = hashlib.sha256()
    for name in RECIPE:
        digest.update((HERE / name).read_bytes())
    # Podman's import forgets the tag it is given, so the hash stands in the name.
    return f"localhost/dtrove-host-{digest.hexdigest()[:12]}:latest"


def ensure_image(client: docker.DockerClient, cache: Path, progress: Progress) -> str:
    """Return the image's name, building and importing it first where it is missing. Raises ProviderError."""
    name = image_name()
    try:
        client.images.get(name)
        return name
    except docker.errors.ImageNotFound:
        pass
    tar = cache / f"{name.removeprefix('localhost/').removesuffix(':latest')}.tar"
    if not tar.exists() and _from_registry(client, name, progress):
        return name
    if not tar.exists():
        _bootstrap(tar, progress)
    progress("importing the host image")
    client.api.import_image_from_file(str(tar), repository=name.removesuffix(":latest"), tag="latest")
    return name


def _from_registry(client: docker.DockerClient, name: str, progress: Progress) -> bool:
    """Try the stock image; false at once where no registry answers."""
    if shutil.which("mmdebstrap") and _machine_is_debian():
        return False
    progress("building the host image from the stock Debian image")
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        archive.add(HERE / "Dockerfile.host", "Dockerfile")
        archive.add(HERE / "dtrove-host", "dtrove-host")
    context.seek(0)
    try:
        client.images.build(fileobj=context, custom_context=True, tag=name, timeout=BUILD_SECONDS)
        return True
    except (docker.errors.DockerException, OSError) as error:
        progress(f"no registry answers ({error}); using mmdebstrap")
        return False


def _bootstrap(tar: Path, progress: Progress) -> None:
    if not shutil.which("mmdebstrap"):
        raise ProviderError(
            "the host image cannot be built: no registry answers, and mmdebstrap is not installed",
            what_to_do="install the package mmdebstrap, then try again",
        )
    progress("building the host image with mmdebstrap, about a minute")
    tar.parent.mkdir(parents=True, exist_ok=True)
    draft = tar.with_suffix(f".{os.getpid()}.tar")
    copies = [path for pattern in APT_FILES for path in glob.glob(pattern)]
    environment = {**os.environ, "DTROVE_ENTRY": str(HERE / "dtrove-host"), "DTROVE_COPY": " ".join(copies)}
    command = ["sh", str(HERE / "recipe.sh"), str(draft), SUITE, _mirror()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    if done.returncode != 0:
        draft.unlink(missing_ok=True)
        raise ProviderError("the host image could not be built", command=" ".join(command),
                            stderr="\n".join(done.stderr.splitlines()[-20:]),
                            what_to_do="look whether apt works on this machine: apt-get update")  # fmt: skip
    draft.replace(tar)


def _machine_is_debian() -> bool:
    return Path("/etc/debian_version").exists()


def _mirror() -> str:
    """The first mirror of this machine's own apt sources, in either of their forms."""
    for path in glob.glob("/etc/apt/sources.list.d/*.sources"):
        for line in Path(path).read_text().splitlines():
            if line.startswith("URIs:") and "security" not in line:
                return line.split()[1]
    for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list")]:
        if Path(path).exists():
            for line in Path(path).read_text().splitlines():
                if line.startswith("deb ") and "security" not in line:
                    return next(word for word in line.split() if "://" in word)
    raise ProviderError("no apt source was found on this machine", what_to_do="set up apt, then try again")
