"""Lets pip inside an image's build take packages from where this machine's pip takes them."""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Where packages come from; a machine's other habits are its own.
SOURCES = ("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "proxy", "timeout")
DIRECTORIES, INDEXES = ("find-links", "cert"), ("index-url", "extra-index-url")


@contextmanager
def passed_on() -> Iterator[list[str]]:
    """Options for `podman build`: a secret file with pip's sources, and a mount for each that is a directory here."""
    found = settings()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("[global]\n" + "".join(f"{name} = {value}\n" for name, value in found.items()))
        file.flush()
        mounts = [f"--volume={path}:{path}:ro" for path in sorted(places(found))]
        yield [f"--secret=id=pip,src={file.name}", *mounts]


def settings() -> dict[str, str]:
    """pip's sources as configured by files and environment; the environment wins, as it does for pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    found: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        origin, _, name = key.rpartition(".")
        if name in SOURCES and (name not in found or origin == ":env:"):
            found[name] = " ".join(str(ast.literal_eval(value)).split())
    return found


def places(found: dict[str, str]) -> set[str]:
    """Paths of this machine among the sources. A local index points beside itself, so its parent is taken."""
    paths: set[str] = set()
    for name in (*DIRECTORIES, *INDEXES):
        for word in found.get(name, "").split():
            path = Path(word.removeprefix("file://"))
            if path.is_absolute() and path.exists():
                paths.add(str(path.parent if name in INDEXES else path))
    return paths
