"""Hosts a loop in a nameko container: it begins with the service and ends with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from nameko.extensions import DependencyProvider


class Loop(Protocol):
    """What goes on for as long as the service runs."""

    def run(self) -> None:
        """Go on until `stop` is called, whatever happens meanwhile."""

    def stop(self) -> None:
        """Come to an end soon, and leave to others what is under way."""


class Keeps(DependencyProvider):
    """Keeps the loop going that `factory` makes; None: there is nothing to do."""

    def __init__(self, factory: Callable[[], Loop | None]) -> None:
        self._factory = factory
        self._loop: Loop | None = None

    def setup(self) -> None:
        self._loop = self._factory()

    def start(self) -> None:
        if self._loop is not None:
            self.container.spawn_managed_thread(self._loop.run, identifier="loop")

    def stop(self) -> None:
        if self._loop is not None:
            self._loop.stop()

    def get_dependency(self, worker_ctx: Any) -> None:
        return None
