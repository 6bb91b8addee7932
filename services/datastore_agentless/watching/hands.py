"""Bounds how many nodes are looked at side by side, in all and of one cluster."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


class Hands:
    """At most `number` looks at once, and `of_one` of them at nodes of one cluster; threads, green where eventlet has patched."""

    def __init__(self, number: int, of_one: int) -> None:
        self._free = threading.BoundedSemaphore(number)
        self._of_one = of_one

    def each(self, works: Sequence[Callable[[], T]]) -> list[T | None]:
        """Do all of them side by side; None for one that met an error which nobody had expected."""
        found: list[T | None] = [None] * len(works)
        own = threading.Semaphore(self._of_one)

        def do(number: int) -> None:
            with own, self._free:
                try:
                    found[number] = works[number]()
                except Exception:
                    log.exception("a node could not be looked at")

        threads = [threading.Thread(target=do, args=(number,), daemon=True) for number in range(1, len(works))]
        for thread in threads:
            thread.start()
        if works:
            do(0)
        for thread in threads:
            thread.join()
        return found
