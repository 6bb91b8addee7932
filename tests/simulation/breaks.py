"""Deliberate breaks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def broken_by(name: str) -> Iterator[None]:
    yield
