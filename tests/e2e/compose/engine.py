"""A Podman with images, containers and volumes of its own, so that stand-ins called like a registry's stay apart.

Networks are the machine's all the same: two lists of them would give the same bridge and the same addresses twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker

from services.provisioner.images import ensure_image
from services.provisioner.providers.local.engine import CONTAINERS_CONF
from tests.e2e.compose import packages
from tests.support.installation import ROOT, wait_for

HERE = Path(__file__).parent
# Sources of the image that the compose file runs; what .dockerignore leaves out cannot change it.
SOURCES = ("Dockerfile", "requirements.lock", "pyproject.toml", "config.yaml", "scripts/container.sh", "services",
           "shared", "client")  # fmt: skip
BUILD_SECONDS = 600
_STORAGE = """[storage]
driver = "overlay"
graphroot = "{place}/storage"
runroot = "{run}"
"""


class Engine:
    """Everything lies below `place`, which is kept: a later run finds the images there. `project` tells its networks."""

    def __init__(self, place: Path, project: str) -> None:
        self.place = place
        self.project = project
        self.run = Path("/run" if os.access("/run", os.W_OK) else "/tmp") / f"dtrove-{_digest(place.as_posix())}"
        place.mkdir(parents=True, exist_ok=True)
        for name, text in (("containers.conf", CONTAINERS_CONF), ("storage.conf", _STORAGE)):
            (place / name).write_text(text.format(place=place, run=self.run))
        self.environ = {
            **os.environ,
            "CONTAINERS_CONF": str(place / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(place / "storage.conf"),
        }

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For one test run at a time; what an earlier one left behind goes first."""
        with (self.place / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.tidy()
            try:
                yield
            finally:
                self.tidy()

    def tidy(self) -> None:
        """Remove all but the images."""
        self.podman("rm", "--all", "--force", "--time", "0")
        self.podman("volume", "rm", "--all", "--force")
        for network in self.left()["networks"]:
            self.podman("network", "rm", "--force", network)

    def left(self) -> dict[str, list[str]]:
        """What there is beside images."""
        label = f"label=io.podman.compose.project={self.project}"
        return {
            "containers": self.podman("ps", "--all", "--format", "{{.Names}}").split(),
            "volumes": self.podman("volume", "ls", "--format", "{{.Name}}").split(),
            "networks": self.podman("network", "ls", "--filter", label, "--format", "{{.Name}}").split(),
        }

    def podman(self, *arguments: str, timeout: float = 60) -> str:
        """Run podman; returns what it printed. Raises AssertionError with its words where it fails."""
        return run(["podman", *arguments], self.environ, timeout)

    def logs(self, lines: int = 20) -> str:
        """The last words of every container, for the message of a failed test."""
        text = ""
        for name in self.left()["containers"]:
            command = ["podman", "logs", "--tail", str(lines), name]
            done = subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=60, check=False)
            text += f"--- {name}\n{done.stdout}{done.stderr}"
        return text

    # Images

    def make_images(self) -> str:
        """Make the stand-ins and DTrove's own image, as far as they are missing; returns the latter's name."""
        base = f"stand-in-base:{_digest_of(HERE, ('Dockerfile', 'rabbitmq.sh', 'postgres.sh'))}"
        if not self._has(base):
            host = self._host_image()
            for target, name in (("base", base), ("rabbitmq", "rabbitmq:3"), ("postgres", "postgres:16")):
                self._build("--build-arg", f"HOST={host}", "--target", target, "--tag", name, str(HERE))
        name = f"dtrove:{_digest_of(ROOT, SOURCES)}"
        if not self._has(name):
            with packages.passed_on() as options:
                self._build(*options, "--build-arg", f"BASE=localhost/{base}", "--tag", name, str(ROOT))
            self._forget_all_but("dtrove", name)
        return f"localhost/{name}"

    def _has(self, name: str) -> bool:
        command = ["podman", "image", "exists", f"localhost/{name}"]
        return subprocess.run(command, env=self.environ, timeout=60, check=False).returncode == 0

    def _build(self, *arguments: str) -> None:
        self.podman("build", "--quiet", *arguments, timeout=BUILD_SECONDS)

    def _forget_all_but(self, repository: str, kept: str) -> None:
        found = self.podman(
            "images", "--filter", f"reference=localhost/{repository}", "--format", "{{.Repository}}:{{.Tag}}"
        )
        old = [name for name in found.split() if name != f"localhost/{kept}"]
        if old:
            self.podman("rmi", "--force", *old)

    def _host_image(self) -> str:
        """The image that local hosts are made of, which every machine can build."""
        socket = self.place / "api.sock"
        socket.unlink(missing_ok=True)
        command = ["podman", "system", "service", "--time=0", f"unix://{socket}"]
        service = subprocess.Popen(command, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            wait_for(socket.exists, 15, what="the service of Podman")
            client = docker.DockerClient(base_url=f"unix://{socket}", timeout=300)
            name = ensure_image(client, ROOT / "var" / "images", print)
            client.close()
            return name
        finally:
            service.terminate()
            service.wait(10)


def run(command: list[str], environ: dict[str, str], timeout: float) -> str:
    """Run a command to its end; returns stdout. Raises AssertionError with all that it said where it fails."""
    done = subprocess.run(command, env=environ, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False)  # fmt: skip
    if done.returncode != 0:
        raise AssertionError(
            f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    return done.stdout


def compose() -> str:
    """The compose program of this virtual environment."""
    return shutil.which("podman-compose", path=str(Path(sys.executable).parent)) or "podman-compose"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _digest_of(root: Path, names: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in names:
        found = [root / name] if (root / name).is_file() else sorted((root / name).rglob("*"))
        for path in found:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
