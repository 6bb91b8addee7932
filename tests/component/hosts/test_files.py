"""Files on a real host are written whole or not at all, and only where they differ."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.datastore_agentless.hosts.base import CommandFailed, Put, Script
from services.datastore_agentless.hosts.runner import _PUT, HostRunner
from shared.secrets import Secret
from tests.component.hosts.sshd import Sshd
from tests.support.installation import wait_for
from tests.support.proxy import Proxy

MakeRunner = Callable[..., HostRunner]
OWNER = f"{os.geteuid()}:{os.getegid()}"
PREFIXES = pytest.mark.parametrize("prefix", ["", "env A=B "], ids=["plain", "behind a prefix"])


def write(path: Path, content: str | Secret, mode: int = 0o644) -> Script:
    return (yield Put(str(path), content, mode=mode, owner=OWNER)).changed


@PREFIXES
@pytest.mark.parametrize(
    "content", ["", "x", "line\nline\n", "no end", "'\"\\$(id) `id` %s %% ä€\t\r\n" * 50, "x" * 500_000],
    ids=["empty", "one", "lines", "no newline", "odd", "large"],
)  # fmt: skip
def test_a_file_holds_what_was_given(sshd: Sshd, runner: MakeRunner, tmp_path: Path, content: str, prefix: str) -> None:
    path = tmp_path / "deep" / "er" / "it's a file"
    assert runner(target=sshd.target(prefix=prefix)).execute(write(path, content, 0o640)) is True
    assert path.read_bytes() == content.encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_the_same_content_writes_nothing_and_still_sets_the_mode(runner: MakeRunner, tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert runner().execute(write(path, "same")) is True
    before = path.stat()
    assert runner().execute(write(path, "same", 0o600)) is False
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert after.st_mode & 0o777 == 0o600


def test_tasks_that_write_a_file_at_the_same_moment_all_write_it_whole(runner: MakeRunner, tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [f"{number}" * 200_000 for number in range(8)]
    writers = [runner(task_id=f"task-{number}", subject=f"node-{number}") for number in range(len(contents))]
    with ThreadPoolExecutor(len(contents)) as threads:
        for _ in range(5):
            written = threads.map(lambda writer, content: writer.execute(write(path, content)), writers, contents)
            assert set(written) <= {True, False}
            assert path.read_text() in contents
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("file")] == ["file"]


def test_another_content_takes_the_place_of_the_old_one_in_one_moment(runner: MakeRunner, tmp_path: Path) -> None:
    path = tmp_path / "file"
    runner().execute(write(path, "old"))
    held = path.open()
    assert runner().execute(write(path, "new")) is True
    # A rename: who had the old file open still has all of it.
    assert held.read() == "old"
    assert path.read_text() == "new"
    held.close()


def test_a_file_that_did_not_arrive_whole_changes_nothing(runner: MakeRunner, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    line = _PUT.format(path=path, owner=OWNER, mode=0o644, size=100)
    output = runner()._remote(line, b"only this", 10)
    assert output.code == 1
    assert path.read_text() == "old"
    assert list(tmp_path.glob("file.*")) == []


def test_where_no_file_can_be_the_message_names_it_and_what_to_do(runner: MakeRunner) -> None:
    with pytest.raises(CommandFailed, match="/proc/nowhere/file on node-1 could not be written") as caught:
        runner().execute(write(Path("/proc/nowhere/file"), "x"))
    assert "disk space and permissions" in caught.value.what_to_do


@PREFIXES
def test_a_secret_file_shows_in_no_argument_list_and_no_record(
    sshd: Sshd, line: Proxy, runner: MakeRunner, tmp_path: Path, prefix: str
) -> None:
    canary = "canary-0815"
    driver = runner(target=sshd.target(prefix=prefix, port=line.port))
    driver.execute(write(tmp_path / "warm", "x"))
    line.silence_after(100_000)
    script = write(tmp_path / "secret", Secret(f"{canary}\n" + "x" * 1_000_000), 0o600)
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(driver.execute, script)
        wait_for(lambda: line.silent, 10)
        # In the middle of the write: what does the host show to whoever asks?
        shown = [text for one in Path("/proc").glob("[0-9]*/cmdline") if (text := _read(one))]
        line.resume()
        assert writing.result(20) is True
    assert any("timeout\0-k" in text for text in shown)
    assert all(canary not in text for text in shown)
    assert all(canary not in repr(entry) for entry in driver.transcript.entries)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
