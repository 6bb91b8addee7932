"""Hands secrets to the processes that we start: by a file for their owner alone, for an environment is shown to many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from shared.config import FILE, secret_names


def hand_over(environ: Mapping[str, str], settings: Iterable[type[Any]], directory: Path) -> dict[str, str]:
    """The environment with each secret of these settings moved into a file in `directory`, which `<NAME>_FILE` names."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    handed = dict(environ)
    for name in secret_names(settings, environ):
        path = directory / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(handed.pop(name))
        handed[name + FILE] = str(path)
    return handed


def take_back(directory: Path) -> None:
    """Delete the files."""
    for path in directory.glob("*"):
        path.unlink(missing_ok=True)
