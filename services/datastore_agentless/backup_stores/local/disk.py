"""Files that outlive a power cut: written, and their names as well, before anybody relies on them."""

from __future__ import annotations

import os
from pathlib import Path


def on_disk(path: Path) -> None:
    """Wait until a file's content, or a folder's names, lie on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def write(path: Path, content: bytes) -> None:
    """Write a file at one stroke, readable by its owner only."""
    draft = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    on_disk(draft)
    draft.replace(path)
    on_disk(path.parent)
