"""The image of local hosts: made in the background by one process at a time, whoever else may wait for it."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import docker
import docker.errors
import requests

from services.provisioner.images.bootstrap import Draft, bootstrap, phase_of
from services.provisioner.images.registry import from_registry
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.lock import locked
from shared.errors import DtroveError

HERE = Path(__file__).parent
RECIPE = ("recipe.sh", "dtrove-host", "packages", "apt.conf", "Dockerfile.host")
WAIT_SECONDS = 0.3
IMPORT_BEGINS = 80
log = logging.getLogger(__name__)
STALE_SECONDS = 5.0


def image_name() -> str:
    """Name and tag of the image that the present recipe makes."""
    digest = hashlib.sha256()
    for name in RECIPE:
        digest.update((HERE / name).read_bytes())
    # Podman's import forgets the tag it is given, so the hash stands in the name.
    return f"localhost/dtrove-host-{digest.hexdigest()[:12]}:latest"


def ensure_image(client: docker.DockerClient, cache: Path, say: Callable[[str], None]) -> str:
    """Make the image where it is missing, and wait for it; returns its name. Raises ProviderError."""
    image = HostImage(lambda: client, cache, say)
    if not image.is_there(client):
        image.make()
    return image.name


class HostImage:
    """The image for one installation: `cache` holds its tar file, its lock and its log, and may be shared by several.

    `connect` gives a client of the container engine; `say` is told of each new phase. The number of a child that builds
    stands in `pid_file`; `root` is where the machine's own files are seen.
    """

    def __init__(
        self, connect: Callable[[], docker.DockerClient], cache: Path, say: Callable[[str], None] = log.info,
        pid_file: Path | None = None, root: Path = Path("/"),
    ) -> None:  # fmt: skip
        self.name = image_name()
        self._connect, self._say, self._said = connect, say, ""
        stem = self.name.removeprefix("localhost/").removesuffix(":latest")
        self._tar, self._lock, self._log, self._state = (
            cache / f"{stem}.{kind}" for kind in ("tar", "lock", "log", "state")
        )
        self._root = root
        self._pid_file = pid_file or cache / f"{stem}.pid"
        self._thread: threading.Thread | None = None
        self._trouble: DtroveError | None = None

    def is_there(self, client: docker.DockerClient) -> bool:
        """Whether the container engine has it."""
        try:
            client.images.get(self.name)
        except docker.errors.ImageNotFound:
            return False
        return True

    def begin(self) -> None:
        """Have it made in the background, unless this process is at it; what failed before is tried again."""
        if self._thread is None or not self._thread.is_alive():
            self._trouble = None
            self._thread = threading.Thread(target=self._run, daemon=True, name="host image")
            self._thread.start()

    def progress(self) -> tuple[int, str]:
        """How far it is: percent and a sentence; goes on with what a process that died had begun.

        Raises the ProviderError that ended the last attempt.
        """
        if self._trouble is not None:
            raise self._trouble
        self.begin()
        try:
            state = json.loads(self._state.read_text())
            return int(state["percent"]), str(state["message"])
        except (OSError, ValueError, KeyError):
            return 0, "building the host image"

    def make(self) -> None:
        """Make it here and now, or wait until whoever is at it has made it. Raises ProviderError."""
        client = self._connect()
        with locked(self._lock, self._meanwhile, WAIT_SECONDS) as lock:
            if self.is_there(client):
                return
            try:
                if not self._has_tar() and not from_registry(client, self.name, self._note):
                    bootstrap(Draft(self._tar, self._log, self._pid_file, self._root), self._note, lock)
                if not self.is_there(client):
                    self._import(client)
            finally:
                self._state.unlink(missing_ok=True)

    def _run(self) -> None:
        try:
            self.make()
        except DtroveError as error:
            self._trouble = error
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            log.exception("the host image could not be made")
            self._trouble = ProviderError(f"the host image could not be made: {error}",
                                          what_to_do="see that the machine's disk has room, then retry")  # fmt: skip

    def _meanwhile(self) -> None:
        """Another process makes it. Its state may be that of one which was killed while its child lives on in the log."""
        if not self._has_tar() and self._is_stale():
            self._note(*phase_of(self._log))

    def _import(self, client: docker.DockerClient) -> None:
        size = self._tar.stat().st_size or 1

        def told(done: int) -> None:
            share = IMPORT_BEGINS + (99 - IMPORT_BEGINS) * done // size
            self._note(share, "handing the host image to the container engine")

        with _Counted(self._tar, told) as source:
            client.api.import_image_from_data(source, repository=self.name.removesuffix(":latest"), tag="latest")

    def _has_tar(self) -> bool:
        return self._tar.exists() and self._tar.stat().st_size > 0

    def _is_stale(self) -> bool:
        return not self._state.exists() or time.time() - self._state.stat().st_mtime > STALE_SECONDS

    def _note(self, percent: int, message: str) -> None:
        if message != self._said:
            self._said = message
            self._say(message)
        draft = self._state.with_suffix(f".{os.getpid()}.new")
        draft.write_text(json.dumps({"percent": percent, "message": message}))
        draft.replace(self._state)


class _Counted(io.FileIO):
    """A file that tells, each time some megabytes were read, how many bytes were."""

    STEP = 8 * 1024 * 1024

    def __init__(self, path: Path, told: Callable[[int], None]) -> None:
        super().__init__(path, "rb")
        self._told, self._next = told, 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        if self.tell() >= self._next:
            self._told(self.tell())
            self._next = self.tell() + self.STEP
        return data
