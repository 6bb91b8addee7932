"""What is remembered beside an installation of its copies: the last one, one that it was set back to, a restore that broke off.

Small files in the folder `control-plane` of DTROVE_HOME; reading them costs nothing and imports nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.errors import Conflict

LAST, HELD = "last.json", "held.json"
# Where an archive is unpacked and checked; and its name once there is no way back, see restoring.py.
DRAFT, READY = "draft", "ready"


def folder_of(home: Path) -> Path:
    """The folder of an installation's marks."""
    return home / "control-plane"


def unfinished(home: Path) -> Path | None:
    """What a restore has left that broke off when there was no way back; None where none did."""
    ready = folder_of(home) / READY
    return ready if ready.exists() else None


def refuse_unfinished(home: Path) -> None:
    """Raise Conflict where a restore broke off: whatever began now would begin with half of two installations."""
    if unfinished(home):
        raise Conflict(f"a restore of DTrove's own state in {home} was broken off before its end",
                       what_to_do="run `dtrove control-plane restore` again: it goes on where it was")  # fmt: skip


def read(home: Path, name: str) -> dict[str, Any] | None:
    """What a mark says; None where there is none."""
    try:
        said: dict[str, Any] = json.loads((folder_of(home) / name).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return said


def write(home: Path, name: str, said: dict[str, Any]) -> None:
    """Leave a mark."""
    write_whole(folder_of(home) / name, json.dumps(said).encode())


def remove(home: Path, name: str) -> None:
    """Take a mark away."""
    (folder_of(home) / name).unlink(missing_ok=True)


def stamp(moment: datetime) -> str:
    """A moment as part of a file's name."""
    return moment.strftime("%Y%m%dT%H%M%SZ")


def make_folder(home: Path) -> Path:
    """The folder, for its owner alone."""
    made = folder_of(home)
    made.mkdir(parents=True, exist_ok=True, mode=0o700)
    return made


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Held for the length of a copy or a restore. Raises Conflict where another one is under way."""
    with (make_folder(home) / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another copy or restore of DTrove's own state is under way here",
                           what_to_do="wait for its end") from None  # fmt: skip
        yield


def write_whole(path: Path, content: bytes) -> None:
    """A file for its owner alone, there as a whole or not at all, also where the machine stops."""
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    settle(path.parent)


def settle(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, lie on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
