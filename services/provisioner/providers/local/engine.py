"""The container engine behind the local provider: finding one, starting Podman's service, the network, tidying up."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import requests

from services.provisioner.providers.base import ProviderBusy, ProviderError

TIMEOUT = 60
SERVICE_WAIT = 15.0
_CONF = """[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""


def installation(home: Path) -> str:
    """A short name for this installation, the same for the same home."""
    return hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:8]


def connect(home: Path) -> docker.DockerClient:
    """A client of the engine that answers: DOCKER_HOST, Docker's socket, or a Podman service of our own."""
    for url in filter(None, (os.environ.get("DOCKER_HOST"), "unix:///var/run/docker.sock")):
        client = _answering(url)
        if client is not None:
            return client
    if not shutil.which("podman"):
        raise ProviderError("neither Docker nor Podman answers on this machine", what_to_do="run `make setup`")
    return _own_podman(home)


@contextlib.contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn the engine's errors into the port's: 4xx will not get better by itself, the rest may."""
    try:
        yield
    except docker.errors.APIError as error:
        message = f"the container engine could not {action}: {error.explanation or error}"
        if error.status_code is not None and 400 <= error.status_code < 500:
            raise ProviderError(message, what_to_do="see `podman ps -a` or `docker ps -a` on the machine") from error
        raise ProviderBusy(message) from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise ProviderBusy(f"the container engine did not answer while asked to {action}: {error}") from error


def ensure_network(client: docker.DockerClient, home: Path) -> str:
    """The bridge of this installation, made at first use on a free subnet; returns its name."""
    name = f"dtrove-{installation(home)}"
    if client.networks.list(names=[f"^{name}$"]):
        return name
    taken = {pool.get("Subnet") for network in client.networks.list()
             for pool in (network.attrs.get("IPAM") or {}).get("Config") or []}  # fmt: skip
    first = int(installation(home), 16) % 200
    for offset in range(200):
        subnet = f"10.{(first + offset) % 200 + 40}.77.0/24"
        if subnet in taken:
            continue
        pool = docker.types.IPAMPool(subnet=subnet)
        try:
            client.networks.create(name, driver="bridge", ipam=docker.types.IPAMConfig(pool_configs=[pool]),
                                   labels={"dtrove-home": installation(home)})  # fmt: skip
            return name
        except docker.errors.APIError as error:
            if client.networks.list(names=[f"^{name}$"]):
                return name
            if "subnet" not in str(error) and "overlap" not in str(error):
                raise
    raise ProviderError("no free subnet for the local network", what_to_do="remove unused networks of the engine")


def clean_up(home: Path) -> list[str]:
    """Remove every container, volume and network of this installation, and its Podman service; say what went."""
    gone: list[str] = []
    with contextlib.suppress(ProviderError, ProviderBusy):
        client = connect(home)
        label: dict[str, str | list[str] | bool] = {"label": f"dtrove-home={installation(home)}"}
        for container in client.containers.list(all=True, filters=label):
            container.remove(force=True, v=True)
            gone.append(f"server {container.name}")
        for network in client.networks.list(filters=label):
            network.remove()
            gone.append(f"network {network.name}")
        for image in client.images.list(filters=label):
            client.images.remove(str(image.id), force=True)
            gone.append(f"snapshot {image.id}")
    from services.provisioner.providers.local import volumes

    gone += volumes.remove_all(home)
    _stop_service(home)
    return gone


def _answering(url: str) -> docker.DockerClient | None:
    if url.startswith("unix://") and not Path(url.removeprefix("unix://")).exists():
        return None
    client = docker.DockerClient(base_url=url, timeout=TIMEOUT, max_pool_size=32)
    try:
        client.ping()
        return client
    except (docker.errors.DockerException, requests.RequestException):
        client.close()
        return None


def _own_podman(home: Path) -> docker.DockerClient:
    run = home / "run"
    run.mkdir(parents=True, exist_ok=True)
    # A socket's path may hold about a hundred characters: a deep home would not fit.
    socket = Path("/tmp" if not os.access("/run", os.W_OK) else "/run") / f"dtrove-{installation(home)}.sock"  # noqa: S108
    url = f"unix://{socket}"
    client = _answering(url)
    if client is not None:
        return client
    conf = run / "containers.conf"
    conf.write_text(_CONF)
    with (run / "podman.log").open("ab") as log:
        process = subprocess.Popen(
            ["podman", "system", "service", "--time=0", url],
            env={**os.environ, "CONTAINERS_CONF": str(conf)}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    (run / "podman.pid").write_text(str(process.pid))
    until = time.monotonic() + SERVICE_WAIT
    while time.monotonic() < until:
        client = _answering(url)
        if client is not None:
            return client
        time.sleep(0.1)
    raise ProviderError("Podman's service does not answer", stderr=(run / "podman.log").read_text()[-2000:],
                        what_to_do="try `podman info` on this machine")  # fmt: skip


def _stop_service(home: Path) -> None:
    pid_file = home / "run" / "podman.pid"
    if not pid_file.exists():
        return
    with contextlib.suppress(ProcessLookupError, ValueError, FileNotFoundError):
        pid = int(pid_file.read_text())
        if "podman" in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGTERM)
    pid_file.unlink(missing_ok=True)
