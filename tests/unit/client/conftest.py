"""A command line, and an API for it to speak to."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from client.cli import main
from shared.db import Sealed
from tests.unit.client.world import World


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Dtrove = Callable[..., Done]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    before = Sealed.keyring
    made = World(tmp_path / "home")
    for name in ("DTROVE_TOKEN", "DTROVE_CONFIG", "DTROVE_KEYRING", "AMQP_URI", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DTROVE_HOME", str(made.home))
    monkeypatch.setenv("DTROVE_URL", made.url)
    yield made
    made.close()
    Sealed.keyring = before


@pytest.fixture
def dtrove(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dtrove:
    """Runs `dtrove` in this process."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["dtrove", *arguments])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1 if end.code else 0
        printed = capsys.readouterr()
        return Done(code, printed.out, printed.err)

    return run
