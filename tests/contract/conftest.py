"""Real hosts for the contract: a home for containers, and a pool of given hosts, made of containers as well."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.provisioner.providers.local import clean_up
from tests.support.installation import ROOT
from tests.support.pool import Pool, given_hosts


@pytest.fixture(scope="package")
def local_home() -> Iterator[Path]:
    """A home for real hosts, which shares the cached host image of the checkout; all that was made goes with it."""
    with tempfile.TemporaryDirectory(prefix="dtrove-contract-") as name:
        home = Path(name)
        shared = ROOT / "var" / "images"
        shared.mkdir(parents=True, exist_ok=True)
        (home / "images").symlink_to(shared)
        yield home
        clean_up(home)


@pytest.fixture(scope="module")
def pool(local_home: Path) -> Iterator[Pool]:
    """Two bare hosts that somebody has set up, and their list."""
    with given_hosts(local_home) as made:
        yield made
