"""The container engine behind the local provider: finding one, starting Podman's service, the network."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import requests

from services.provisioner.providers.base import ProviderBusy, ProviderError
from services.provisioner.providers.lock import locked

TIMEOUT = 60
SERVICE_WAIT = 15.0
DOCKER_SOCKET = "unix:///var/run/docker.sock"
# Limits are said for builds too: an engine that lacks a capability cannot raise the ones it would take by itself.
CONTAINERS_CONF = """[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""


def installation(home: Path) -> str:
    """A short name for this installation, the same for the same home."""
    return hashlib.sha256(str(home.resolve()).encode()).hexdigest()[:8]


def build_pid_file(home: Path) -> Path:
    """Names the process that builds a host image for this installation."""
    return home / "run" / "host-image.pid"


def has_engine() -> bool:
    """Whether this machine could have a container engine at all."""
    return bool(os.environ.get("DOCKER_HOST") or Path("/var/run/docker.sock").exists() or shutil.which("podman"))


def connect(home: Path) -> docker.DockerClient:
    """A client of the engine that answers: DOCKER_HOST, Docker's socket, or a Podman service of our own.

    Raises ProviderError where there is none.
    """
    for url in filter(None, (os.environ.get("DOCKER_HOST"), DOCKER_SOCKET)):
        client = _answering(url)
        if client is not None:
            return client
    if not shutil.which("podman"):
        raise ProviderError(
            "neither Docker nor Podman answers on this machine",
            what_to_do="start Docker, or run `make setup`, which installs Podman; then retry the operation",
        )
    return _own_podman(home)


def is_routed(client: docker.DockerClient) -> bool:
    """Whether this machine reaches hosts at their own addresses: not so behind a virtual machine or a rootless engine."""
    told = client.info()
    rootless = any("rootless" in str(option) for option in told.get("SecurityOptions") or [])
    return sys.platform == "linux" and not rootless and "Docker Desktop" not in str(told.get("OperatingSystem"))


@contextlib.contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn the engine's errors into the port's: 4xx will not get better by itself, the rest may."""
    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise ProviderBusy(f"the host image went away while asked to {action}: it is made again") from error
    except docker.errors.APIError as error:
        message = f"the container engine could not {action}: {error.explanation or error}"
        if error.status_code is not None and 400 <= error.status_code < 500:
            raise ProviderError(message, what_to_do="see `podman ps -a` or `docker ps -a` on the machine") from error
        raise ProviderBusy(message, what_to_do="see that the container engine is well: `podman info`") from error
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise EngineAway(f"the container engine did not answer while asked to {action}",
                         what_to_do="see that Docker or Podman runs: `docker info`, `podman info`") from error  # fmt: skip


class EngineAway(ProviderBusy):
    """The engine did not answer: it must be looked for anew."""


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
    raise ProviderError("no free subnet for the local network",
                        what_to_do="remove unused networks of the engine: `podman network prune`")  # fmt: skip


def stop_own_podman(home: Path) -> None:
    """End the Podman service that this installation has started, if it runs."""
    pid_file = home / "run" / "podman.pid"
    if not pid_file.exists():
        return
    with contextlib.suppress(ProcessLookupError, ValueError, FileNotFoundError):
        pid = int(pid_file.read_text())
        process = Path(f"/proc/{pid}/cmdline")
        if "podman" in process.read_text():
            os.kill(pid, signal.SIGTERM)
            until = time.monotonic() + SERVICE_WAIT
            while process.read_text() and time.monotonic() < until:
                time.sleep(0.05)
    pid_file.unlink(missing_ok=True)
    _socket(home).unlink(missing_ok=True)


def _answering(url: str) -> docker.DockerClient | None:
    if url.startswith("unix://") and not Path(url.removeprefix("unix://")).exists():
        return None
    client = None
    try:
        # Its constructor asks for the version: a socket whose service was killed refuses even that.
        client = docker.DockerClient(base_url=url, timeout=TIMEOUT, max_pool_size=32)
        client.ping()
        return client
    except (docker.errors.DockerException, requests.RequestException):
        if client is not None:
            client.close()
        return None


def _socket(home: Path) -> Path:
    # A socket's path may hold about a hundred characters: a deep home would not fit.
    place = "/run" if os.access("/run", os.W_OK) else os.environ.get("XDG_RUNTIME_DIR", "/tmp")  # noqa: S108
    return Path(place) / f"dtrove-{installation(home)}.sock"


def _own_podman(home: Path) -> docker.DockerClient:
    """The service of our own, started where it does not run; one of several processes starts it."""
    with locked(home / "run" / "podman.lock"):
        url = f"unix://{_socket(home)}"
        return _answering(url) or _start_podman(home / "run", url)


def _start_podman(run: Path, url: str) -> docker.DockerClient:
    conf = run / "containers.conf"
    conf.write_text(CONTAINERS_CONF)
    # A child of init and not of ours: it outlives this process, and is no zombie when it ends first.
    started = subprocess.run(
        ["sh", "-c", '"$@" </dev/null >>"$0" 2>&1 & echo $!', str(run / "podman.log"), "podman", "system", "service",
         "--time=0", url],
        env={**os.environ, "CONTAINERS_CONF": str(conf)}, capture_output=True, text=True, start_new_session=True,
        timeout=TIMEOUT, check=True,
    )  # fmt: skip
    (run / "podman.pid").write_text(started.stdout.strip())
    until = time.monotonic() + SERVICE_WAIT
    while time.monotonic() < until:
        client = _answering(url)
        if client is not None:
            return client
        time.sleep(0.1)
    raise ProviderError("Podman's service does not answer", stderr=(run / "podman.log").read_text()[-2000:],
                        what_to_do="try `podman info` on this machine, then retry the operation")  # fmt: skip
