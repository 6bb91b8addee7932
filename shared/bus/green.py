"""What eventlet's patch comes too late for: names that libraries took from the standard library before it."""

from __future__ import annotations

import time

import kombu.mixins
import kombu.utils.functional


def mend_names() -> None:
    """Let kombu's pauses between tries stop one green thread instead of the whole process.

    Whoever runs a module of this package has imported the package first, and with it kombu, which keeps the `sleep`
    that it found. Call it after the patch.
    """
    kombu.utils.functional.sleep = kombu.mixins.sleep = time.sleep
