"""A whole DTrove on the cloud in memory, a Chromium to look at it with, and people who do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.visitor import PATIENCE_MS, Visitor
from tests.support.golden import gild
from tests.support.installation import ROOT, Installation

# No sandbox can be made by root, and what is looked at is our own. A small /dev/shm ends a tab; a disk does not.
ARGUMENTS = ["--disable-dev-shm-usage", "--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]


@pytest.fixture(scope="package")
def dtrove(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """DTrove with its own RabbitMQ and simulated hosts."""
    with Installation(tmp_path_factory.mktemp("browser"), DTROVE_PROVIDER="fake") as made:
        yield made


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The Chromium that this system has."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "there is no Chromium here: `make test-setup` installs it"
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS, timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def pictures(request: pytest.FixtureRequest) -> Path:
    """Where pictures of pages are kept, empty at first."""
    folder = ROOT / str(request.config.getoption("--screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    return folder


@pytest.fixture(scope="package")
def on_real_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """DTrove with hosts that can really die."""
    with Installation(tmp_path_factory.mktemp("hosts")) as made:
        gild(made)
        yield made


@pytest.fixture
def visitor(dtrove: Installation, chromium: Browser, pictures: Path) -> Iterator[Callable[..., Visitor]]:
    """Opens a browser, usually at the first DTrove; each is shut at the end, and then nothing may have been wrong in it."""
    opened: list[Visitor] = []

    def one(at: Installation = dtrove) -> Visitor:
        opened.append(Visitor(chromium, at.url, pictures))
        return opened[-1]

    yield one
    for each in opened:
        each.close()


@pytest.fixture
def admin(dtrove: Installation, visitor: Callable[[], Visitor]) -> Visitor:
    """The first administrator, signed in by a link that does it once."""
    made = visitor()
    made.come_in(dtrove)
    return made
