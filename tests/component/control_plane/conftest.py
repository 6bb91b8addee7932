"""An installation that was worked in, who can open its archive, and a place where nothing is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from client.local.control_plane.backing_up import back_up
from client.local.control_plane.places import Installation
from shared.db import Sealed
from tests.component.control_plane.lived import Pair, at, lived


@pytest.fixture(autouse=True)
def own_keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever keyring a test sets is gone after it, and none of the environment counts."""
    monkeypatch.delenv("DTROVE_KEYRING", raising=False)
    before = Sealed.keyring
    yield
    Sealed.keyring = before


@pytest.fixture
def pair() -> Pair:
    return Pair()


@pytest.fixture
def old(tmp_path: Path) -> Installation:
    """What is copied."""
    return lived(tmp_path / "old", "old")


@pytest.fixture
def archive(old: Installation, pair: Pair, tmp_path: Path) -> Path:
    """Its archive."""
    return back_up(old, tmp_path / "copy.age", pair.lock).path


@pytest.fixture
def fresh(tmp_path: Path) -> Installation:
    """Another machine's."""
    return at(tmp_path / "fresh")
