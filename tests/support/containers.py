"""What a command prints in a container, for certain."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from docker.models.containers import Container

END = "<end of what was said>"
TRIES = 5


def said(container: Container, line: str) -> str:
    """Run a shell line and return what it printed, both streams, without white space at either end.

    Podman now and then loses what an exec prints. The line runs once and prints into a file; only the reading of that is
    repeated until all of it has come.
    """
    file = f"/dev/shm/said-{uuid4().hex}"
    read = f"cat {file}; printf '%s' '{END}'"
    order = f"(\n{line}\n) > {file} 2>&1; {read}"
    for _ in range(TRIES):
        output: Any = container.exec_run(["sh", "-c", order]).output
        text = bytes(output).decode(errors="replace")
        if text.endswith(END):
            return text.removesuffix(END).strip()
        order = read
    raise AssertionError(f"the container {container.name} does not say what it printed")
