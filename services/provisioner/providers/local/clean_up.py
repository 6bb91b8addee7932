"""Removes all that an installation has made on this machine: hosts, volumes, addresses, network, builds, and Podman's service."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import docker.errors
import requests

from services.provisioner.images.bootstrap import stop
from services.provisioner.providers.base import ProviderBusy, ProviderError
from services.provisioner.providers.local import reserved, volumes
from services.provisioner.providers.local.engine import (
    build_pid_file,
    connect,
    has_engine,
    installation,
    stop_own_podman,
)

Removal = tuple[str, Callable[[], object]]


def clean_up(home: Path) -> list[str]:
    """Remove whatever there is, as far as that goes; returns what went. Repeating it is harmless.

    Raises ProviderError, at the end, with what could not be removed.
    """
    gone: list[str] = []
    left: list[str] = []
    stop(build_pid_file(home))
    if has_engine():
        for name, remove in _in_engine(home, left):
            try:
                remove()
                gone.append(name)
            except docker.errors.NotFound:
                continue
            except (docker.errors.DockerException, requests.RequestException) as error:
                left.append(f"{name}: {error}")
    try:
        gone += volumes.remove_all(home)
    except ProviderError as error:
        left.append(f"volumes: {error.message} {error.stderr}".strip())
    gone += reserved.drop_all(home)
    stop_own_podman(home)
    if left:
        raise ProviderError("not everything could be removed", stderr="\n".join(left), what_to_do="try it again")
    return gone


def _in_engine(home: Path, left: list[str]) -> Iterator[Removal]:
    """What the engine holds of this installation; hosts first, for the rest is in use by them."""
    label: dict[str, str | list[str] | bool] = {"label": f"dtrove-home={installation(home)}"}
    try:
        with contextlib.closing(connect(home)) as client:
            for container in client.containers.list(all=True, filters=label, ignore_removed=True):
                yield f"server {container.name}", lambda one=container: one.remove(force=True, v=True)  # type: ignore[misc]
            for network in client.networks.list(filters=label):
                yield f"network {network.name}", network.remove
            for image in client.images.list(filters=label):
                yield (
                    f"snapshot {image.id}",
                    lambda one=image: client.images.remove(str(one.id), force=True),  # type: ignore[misc]
                )
    except (docker.errors.DockerException, requests.RequestException, ProviderError, ProviderBusy) as error:
        left.append(f"the container engine: {error}")
