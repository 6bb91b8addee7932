"""A value that is made once, however many ask for it at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def once(make: Callable[[], T]) -> Callable[[], T]:
    """Decorator for a function without arguments: the first caller makes the value, the others wait and share it.

    `functools.cache` lets a second caller in while the first still waits for a network, and makes two. What raises is
    tried anew by the next caller.
    """
    lock, made = threading.RLock(), list[T]()

    def shared() -> T:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    shared.__name__, shared.__doc__ = make.__name__, make.__doc__
    return shared
