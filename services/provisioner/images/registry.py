"""Makes the host image from the stock Debian image, where a registry answers."""

from __future__ import annotations

import io
import logging
import queue
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests

HERE = Path(__file__).parent
STOCK, TAG = "debian", "bookworm"
FILES = {"dtrove-host": 0o755, "packages": 0o755, "apt.conf": 0o644}
# A registry that is there says so at once; one that is not may keep the engine trying for minutes.
ANSWER_SECONDS = 6.0
SILENCE_SECONDS = 300.0
log = logging.getLogger(__name__)


def from_registry(
    client: docker.DockerClient, name: str, progress: Callable[[int, str], None], patience: float = ANSWER_SECONDS
) -> bool:
    """Pull the stock image and build on it; false where no registry answers in time or the build goes wrong."""
    progress(2, "looking for a registry that has the stock Debian image")
    try:
        for event in _within(_events(client), patience, SILENCE_SECONDS):
            progress(10, f"pulling the stock Debian image: {event.get('status', '')}".rstrip(": "))
        for line in client.api.build(fileobj=_context(), custom_context=True, tag=name, decode=True, rm=True):
            if "error" in line:
                raise docker.errors.BuildError(line["error"], iter(()))
            if str(line.get("stream", "")).strip():
                progress(50, "building the host image on the stock Debian image")
        return True
    except (docker.errors.DockerException, requests.RequestException, OSError, TimeoutError) as error:
        log.info("the host image is not made from a registry's image: %s", error)
        return False


def _events(client: docker.DockerClient) -> Iterator[dict[str, Any]]:
    for event in client.api.pull(STOCK, tag=TAG, stream=True, decode=True):
        if "error" in event:
            raise docker.errors.APIError(str(event["error"]))
        yield event


def _within(events: Iterator[dict[str, Any]], first: float, later: float) -> Iterator[dict[str, Any]]:
    """Pass events on. Raises TimeoutError when the first, or a later one, is not there after so many seconds."""
    arrived: queue.Queue[dict[str, Any] | Exception | None] = queue.Queue()

    def read() -> None:
        try:
            for event in events:
                arrived.put(event)
            arrived.put(None)
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            arrived.put(error)

    threading.Thread(target=read, daemon=True, name="pull").start()
    patience = first
    while True:
        try:
            event = arrived.get(timeout=patience)
        except queue.Empty:
            raise TimeoutError(f"no registry answered within {patience:.0f} s") from None
        if event is None:
            return
        if isinstance(event, Exception):
            raise event
        patience = later
        yield event


def _context() -> io.BytesIO:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        archive.add(HERE / "Dockerfile.host", "Dockerfile")
        for name, mode in FILES.items():
            # Not by `COPY --chmod`, which Docker's builder knows only as BuildKit. A checkout may have lost the bits.
            archive.add(HERE / name, name, filter=lambda entry, mode=mode: entry.replace(mode=mode))  # type: ignore[misc]
    context.seek(0)
    return context
