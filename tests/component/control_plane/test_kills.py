"""kill -9 before or after any renaming of a restore: what is there is the old installation or the new one, never a mixture."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client import installation as making
from client.local import checks
from client.local.control_plane import marks
from client.local.control_plane.backing_up import back_up
from client.local.control_plane.places import Installation
from client.local.control_plane.restoring import check, restore
from shared.errors import Conflict
from shared.secrets import read_keyring
from tests.component.control_plane.lived import CHANGED, Pair, at, lived, rows

# More than there are renamings in a restore that puts an installation aside.
MOST = 60
# What a process does to files, as the interpreter tells it before it does.
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree", "shutil.copyfile")


def killed_at(number: int, work: Callable[[], Any]) -> bool:
    """Do some work in a process of its own, which is killed before its change of files of that number; whether it was."""
    pid = os.fork()
    if pid == 0:
        left = [number]

        def hook(event: str, _: Any) -> None:
            if event in CHANGES:
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1

        sys.addaudithook(hook)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert status in (0, signal.SIGKILL), f"it ended with {status}"
    return status == signal.SIGKILL


def is_as(one: Installation, other: Installation, changed: tuple[str, ...]) -> bool:
    return one.keyring.exists() and (rows(one, changed), read_keyring(one.keyring)) == (
        rows(other, changed), read_keyring(other.keyring)
    )  # fmt: skip


@pytest.mark.slow
def test_a_restore_that_is_killed_at_any_moment_leaves_the_old_or_goes_on_to_the_new(
    old: Installation, archive: Path, pair: Pair, tmp_path: Path
) -> None:
    """Also a second one, that is killed where the first one was."""
    survived = 0
    lived(tmp_path / "template", "here", at_work=False)
    for number in range(MOST):
        shutil.copytree(tmp_path / "template", tmp_path / f"here-{number}")
        here = at(tmp_path / f"here-{number}")
        before, ring = rows(here, ()), read_keyring(here.keyring)

        def again(here: Installation = here) -> None:
            restore(here, archive, pair.key, force=True)

        if not killed_at(number, again):
            survived += 1
            assert is_as(here, old, CHANGED)
            break
        if marks.unfinished(here.home) is None:
            untouched = (rows(here, ()), read_keyring(here.keyring)) == (before, ring)
            assert untouched or is_as(here, old, CHANGED)
        else:
            with pytest.raises(Conflict, match="broken off"):
                making.init(here.home)
            assert checks._own_state(here.home).status == "failed"
            killed_at(number % 3, again)
        again()
        assert marks.unfinished(here.home) is None
        assert is_as(here, old, CHANGED)
        # Where the first one had come to its end, the second has put that aside as well.
        aside = [path.read_text().split() for path in here.home.glob("keyring.before-*")]
        assert list(ring.keys) in aside
    assert survived


@pytest.mark.slow
def test_a_copy_that_is_killed_at_any_moment_leaves_no_archive_or_a_whole_one(
    old: Installation, pair: Pair, tmp_path: Path, fresh: Installation
) -> None:
    before = rows(old, ())
    for number in range(MOST):
        target = tmp_path / f"copy-{number}.age"
        was_killed = killed_at(number, lambda target=target: back_up(old, target, pair.lock))
        assert rows(old, ()) == before
        if target.exists():
            check(fresh, target, pair.key)
        if not was_killed:
            assert target.exists()
            break
    else:
        raise AssertionError("it never came to its end")
    back_up(old, tmp_path / "last.age", pair.lock)
    assert not (old.home / "control-plane" / "making").exists()


def test_a_restore_that_broke_off_goes_on_where_the_configuration_is_what_it_was(
    old: Installation, archive: Path, pair: Pair, tmp_path: Path
) -> None:
    here = lived(tmp_path / "here", "here", at_work=False)
    number = next(
        number for number in range(MOST)
        if killed_at(number, lambda: restore(here, archive, pair.key, force=True)) and marks.unfinished(here.home)
    )  # fmt: skip
    assert number
    elsewhere = Installation(
        here.home, here.config, {**here.values, "API_DATABASE_URL": f"sqlite:///{tmp_path}/x.sqlite"}
    )
    with pytest.raises(Conflict, match="has the database of api at"):
        restore(elsewhere, archive, pair.key)
    done = restore(here, archive, pair.key)
    assert is_as(here, old, CHANGED)
    assert done.manifest.databases
