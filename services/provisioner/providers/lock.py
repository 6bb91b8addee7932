"""A lock between processes of one machine, on a file, that ends with its holder however that one dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_SECONDS = 0.05


@contextmanager
def locked(path: Path, meanwhile: Callable[[], None] = lambda: None, every: float = LOOK_SECONDS) -> Iterator[int]:
    """Hold the lock for the length of the block; yields the descriptor, which a child may inherit to hold it on.

    `meanwhile` is called at each look while somebody else holds it. Waiting leaves the process's other work alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _took(descriptor):
            meanwhile()
            time.sleep(every)
        yield descriptor
    finally:
        os.close(descriptor)


def _took(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
