"""Files that have no name in any folder: they belong to the process that makes them, and end with it."""

from __future__ import annotations

import os


def in_memory(name: str, content: bytes) -> int:
    """The descriptor of such a file, at its beginning; only its owner may open it again by /proc. `name` is for whoever lists them."""
    made = os.memfd_create(name)
    os.fchmod(made, 0o600)
    os.write(made, content)
    os.lseek(made, 0, os.SEEK_SET)
    return made
