"""What the shell offers when Tab is pressed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from client import completion
from tests.unit.client.conftest import Done
from tests.unit.client.world import World

Dtrove = Callable[..., Done]


def test_names_that_begin_with_what_was_typed_are_offered(world: World, dtrove: Dtrove) -> None:
    for name in ("shop", "store"):
        dtrove("cluster", "create", name, "--datastore", "pgsql 15", "--wait")
    assert completion.clusters("sh") == ["shop"]
    assert sorted(completion.clusters("")) == ["shop", "store"]
    assert completion.instances("sto") == ["store-1"]
    assert completion.flavors("s") == ["small"]
    assert "shop" in completion.operations("sh")


def test_nothing_is_offered_and_nothing_said_while_the_api_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DTROVE_URL", "http://127.0.0.1:9")
    assert completion.clusters("") == completion.instances("") == []
    monkeypatch.setenv("DTROVE_URL", "nonsense")
    assert completion.clusters("") == completion.instances("") == []
    assert capfd.readouterr() == ("", "")


def test_bash_is_answered_with_the_names_of_clusters(world: World, dtrove: Dtrove) -> None:
    dtrove("cluster", "create", "shop", "--datastore", "pgsql 15", "--wait")
    program = Path(sys.executable).parent / "dtrove"
    done = subprocess.run(
        [program], capture_output=True, text=True, check=False, timeout=60,
        env={"PATH": "/usr/bin:/bin", "DTROVE_HOME": str(world.home), "DTROVE_URL": world.url,
             "_DTROVE_COMPLETE": "complete_bash", "COMP_WORDS": "dtrove cluster show s", "COMP_CWORD": "3"},
    )  # fmt: skip
    assert done.stdout.split() == ["shop"], done.stderr
