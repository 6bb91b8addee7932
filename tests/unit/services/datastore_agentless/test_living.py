"""Whether an engine lives, and since when: asked on this very machine."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.datastores.base import BaseManager, living, scripts
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.hosts.base import Result, Run
from services.datastore_agentless.settings import BUILT_IN


def manager(process: str) -> BaseManager:
    found = load_manager("redis", Datastore("d", "redis", "redis", "7.0", "debian-12", ["redis-server"]), BUILT_IN)
    found.process = process
    return found


def since(process: str) -> str:
    script = living.since(manager(process))
    try:
        command = next(script)
        assert isinstance(command, Run)
        done = subprocess.run(["sh", "-c", command.line], capture_output=True, text=True, check=True, timeout=20)
        script.send(Result(0, done.stdout, done.stderr))
    except StopIteration as end:
        return str(end.value)
    raise AssertionError("it asks no more than once")


@contextmanager
def running(program: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([program, "60"]) as process:
        try:
            yield process
        finally:
            process.kill()


def test_an_engine_that_was_restarted_lives_since_another_moment(tmp_path: Path) -> None:
    engine = tmp_path / "dtrove engine)"
    shutil.copy("/bin/sleep", engine)
    assert since(engine.name) == ""
    with running(engine):
        first = since(engine.name)
        with running(engine):
            # A child of the same name is younger than the engine itself.
            assert since(engine.name) == first != ""
    with running(engine):
        assert since(engine.name) not in ("", first)


def test_of_an_engine_whose_process_nobody_knows_nothing_is_asked() -> None:
    assert since("") == ""


def test_who_waits_for_a_port_is_told_at_once_that_its_engine_has_ended() -> None:
    line = scripts.listening(1, "dtrove-nobody", patience=1)
    waited = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30, check=False)
    assert (waited.returncode, waited.stderr) == (1, "dtrove-nobody has ended again\n")


def test_who_waits_for_a_port_waits_on_while_its_engine_lives(tmp_path: Path) -> None:
    engine = tmp_path / "dtrove-engine"
    shutil.copy("/bin/sleep", engine)
    with running(engine), socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        line = scripts.listening(door.getsockname()[1], engine.name, patience=1)
        with subprocess.Popen(["sh", "-c", line]) as waiting:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(1.5)
            door.listen()
            assert waiting.wait(10) == 0
