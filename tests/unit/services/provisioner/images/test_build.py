"""Making the host image: in the background, by one process at a time, through its death; over an mmdebstrap in play."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import docker
import pytest

from services.provisioner.images import HostImage, bootstrap
from services.provisioner.images.bootstrap import phase_of
from services.provisioner.images.registry import from_registry
from services.provisioner.providers.base import ProviderError
from services.provisioner.providers.lock import locked
from tests.support.installation import wait_for
from tests.unit.services.provisioner.images.engine import FolderEngine

MMDEBSTRAP = """#!/bin/sh
# Plays mmdebstrap: says where it is, waits until it may go on, writes the file that the last but two arguments name.
for last; do :; done
eval "output=\\${$(($# - 1))}"
echo one >> "$PLAY/begun"
echo 'I: running apt-get update...' >&2
while [ ! -e "$PLAY/go" ]; do sleep 0.02; done
[ ! -e "$PLAY/fail" ] || { echo 'E: mirror is down' >&2; exit 7; }
echo 'I: creating tarball...' >&2
head -c 20000000 /dev/zero > "$output"
"""


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder by which mmdebstrap is held and let go."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "mmdebstrap").write_text(MMDEBSTRAP)
    (programs / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PLAY", str(tmp_path))
    (tmp_path / "etc" / "apt").mkdir(parents=True)
    (tmp_path / "etc" / "apt" / "sources.list").write_text("deb http://mirror.example/debian bookworm main\n")
    return tmp_path


def image_of(place: Path, registry_is: str = "refuses") -> tuple[HostImage, FolderEngine]:
    engine = FolderEngine(place / "engine", registry_is)
    return HostImage(lambda: cast("docker.DockerClient", engine), place / "cache", root=place), engine


def maker_in(place: Path) -> list[str]:
    """The command of a process of its own that makes the image."""
    return [sys.executable, "-m", "tests.unit.services.provisioner.images.maker", str(place)]


def begun(place: Path) -> int:
    path = place / "begun"
    return len(path.read_text().splitlines()) if path.exists() else 0


def is_there(image: HostImage, engine: FolderEngine) -> bool:
    return image.is_there(cast("docker.DockerClient", engine))


def test_it_is_made_in_the_background_and_each_phase_is_told(play: Path) -> None:
    image, engine = image_of(play)
    image.begin()
    wait_for(lambda: "reading package lists" in image.progress()[1], 10)
    assert 0 < image.progress()[0] < 50
    (play / "go").touch()
    wait_for(lambda: is_there(image, engine), 10)
    assert engine.events("import") == 1


def test_asking_again_and_again_makes_it_once(play: Path) -> None:
    image, engine = image_of(play)
    for _ in range(5):
        image.begin()
        image.progress()
    (play / "go").touch()
    wait_for(lambda: is_there(image, engine), 10)
    assert begun(play) == 1


def test_several_processes_make_it_once(play: Path) -> None:
    image, engine = image_of(play)
    makers = [subprocess.Popen(maker_in(play)) for _ in range(3)]
    wait_for(lambda: begun(play) == 1, 20)
    (play / "go").touch()
    assert [maker.wait(30) for maker in makers] == [0, 0, 0]
    assert begun(play) == 1
    assert engine.events("import") == 1
    assert is_there(image, engine)


def test_a_build_whose_process_was_killed_goes_on_and_is_taken_over(play: Path) -> None:
    image, engine = image_of(play)
    maker = subprocess.Popen(maker_in(play))
    wait_for(lambda: begun(play) == 1, 20)
    maker.send_signal(signal.SIGKILL)
    maker.wait(10)
    image.begin()
    wait_for(lambda: "reading package lists" in image.progress()[1], 20)
    (play / "go").touch()
    wait_for(lambda: is_there(image, engine), 20)
    assert begun(play) == 1


def test_a_failure_is_told_with_its_last_words_and_the_next_wish_tries_again(play: Path) -> None:
    image, engine = image_of(play)
    (play / "fail").touch()
    (play / "go").touch()
    image.begin()
    with pytest.raises(ProviderError) as failed:
        wait_for(lambda: image.progress() and False, 10)
    assert "mirror is down" in failed.value.stderr
    assert "apt-get update" in failed.value.what_to_do
    (play / "fail").unlink()
    image.begin()
    wait_for(lambda: is_there(image, engine), 10)


def test_an_empty_file_is_no_image(play: Path) -> None:
    image, engine = image_of(play)
    (play / "cache").mkdir()
    (play / "cache" / image.name.removeprefix("localhost/").replace(":latest", ".tar")).touch()
    (play / "go").touch()
    image.make()
    assert begun(play) == 1
    assert is_there(image, engine)


def test_a_registry_that_answers_is_used_and_mmdebstrap_is_not(play: Path) -> None:
    image, engine = image_of(play, "answers")
    image.make()
    assert (engine.events("build"), begun(play)) == (1, 0)


def test_a_registry_that_keeps_silent_is_given_up(tmp_path: Path) -> None:
    engine = cast("docker.DockerClient", FolderEngine(tmp_path, "is silent"))
    assert not from_registry(engine, "image", lambda _percent, _message: None, patience=0.3)


def test_without_registry_and_mmdebstrap_it_is_said_what_to_install(
    play: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(play))
    with pytest.raises(ProviderError, match="mmdebstrap is not installed") as failed:
        image_of(play)[0].make()
    assert "install the package mmdebstrap" in failed.value.what_to_do


def test_without_registry_and_debian_mirror_it_is_said_what_to_add(play: Path) -> None:
    (play / "etc" / "apt" / "sources.list").write_text("deb http://archive.example/ubuntu noble main\n")
    (play / "etc" / "os-release").write_text("NAME=Ubuntu\nID=ubuntu\nID_LIKE=debian\n")
    with pytest.raises(ProviderError, match="no apt source of this machine has Debian bookworm") as failed:
        image_of(play)[0].make()
    assert "debian-archive-keyring" in failed.value.what_to_do


def test_a_build_that_is_stopped_leaves_no_process(play: Path) -> None:
    image, _ = image_of(play)
    image.begin()
    (pid_file,) = wait_for(lambda: list((play / "cache").glob("*.pid")), 10)
    wait_for(lambda: begun(play) == 1, 10)
    bootstrap.stop(pid_file)
    assert not pid_file.exists()
    with pytest.raises(ProviderError):
        wait_for(lambda: image.progress() and False, 10)


def test_a_pid_file_of_long_ago_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "old.pid").write_text(str(os.getpid()))
    bootstrap.stop(tmp_path / "old.pid")
    assert not (tmp_path / "old.pid").exists()


def test_phases_are_told_in_order(tmp_path: Path) -> None:
    log, seen = tmp_path / "log", []
    assert phase_of(log) == (1, "building the host image, a minute or two: beginning")
    for mark, _, _ in bootstrap.PHASES:
        log.write_text((log.read_text() if log.exists() else "") + f"{mark} and so on\n")
        seen.append(phase_of(log)[0])
    assert seen == sorted(set(seen))


def test_a_lock_goes_with_its_holder_however_that_one_dies(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from services.provisioner.providers.lock import locked\n" \
           "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"  # fmt: skip
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waits: list[int] = []

    def meanwhile() -> None:
        waits.append(1)
        if len(waits) == 3:
            holder.kill()

    with locked(tmp_path / "lock", meanwhile):
        assert len(waits) >= 3
    holder.wait(10)
    holder.communicate()
