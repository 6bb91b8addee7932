"""A person's key opens a host for a while, and no longer."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from client.ssh import arguments, remote_command
from services.datastore_agentless.hosts.authorized_keys import admit, shut_out
from services.datastore_agentless.hosts.runner import HostRunner
from tests.component.hosts.sshd import Sshd

MINE, OTHER = "11111111-aaaa", "22222222-bbbb"


class Visitor:
    """Somebody with a key of their own and the command line's way of calling ssh."""

    def __init__(self, server: Sshd, folder: Path) -> None:
        self.granted = {"host": "127.0.0.1", "port": server.port, "user": server.user}
        self.folder = folder
        folder.mkdir()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / "key"], check=True)
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")

    @property
    def public(self) -> str:
        return (self.folder / "key.pub").read_text().strip()

    def log_in(self, *words: str) -> subprocess.CompletedProcess[str]:
        line = arguments(self, self.folder, remote_command(list(words)))  # type: ignore[arg-type]
        return subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)


@pytest.fixture
def home(own_sshd: Sshd, tmp_path: Path) -> Path:
    """A home directory for the suite's own user on the server, in place of the real one."""
    folder = tmp_path / "home" / ".ssh"
    folder.mkdir(parents=True)
    keys = own_sshd.directory / "authorized_keys"
    keys.replace(folder / "authorized_keys")
    keys.symlink_to(folder / "authorized_keys")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "getent").write_text(f"#!/bin/sh\necho x:x:0:0::{folder.parent}:/bin/sh\n")
    (programs / "getent").chmod(0o755)
    return folder.parent


@pytest.fixture
def run(own_sshd: Sshd, home: Path, tmp_path: Path, runner: Callable[..., HostRunner]) -> Callable[[object], object]:
    """Runs a script on the server, where `getent` knows only that home."""
    prefix = f"env PATH={tmp_path}/bin:/usr/bin:/bin "
    return lambda script: runner(target=own_sshd.target(prefix=prefix)).execute(script)  # type: ignore[arg-type]


@pytest.fixture
def visitor(own_sshd: Sshd, home: Path, tmp_path: Path) -> Visitor:
    return Visitor(own_sshd, tmp_path / "visitor")


def lines(home: Path) -> list[str]:
    return (home / ".ssh" / "authorized_keys").read_text().splitlines()


def test_a_key_that_was_let_in_logs_in_and_one_that_was_shut_out_does_not(
    own_sshd: Sshd, run: Callable[[object], object], visitor: Visitor
) -> None:
    assert visitor.log_in("true").returncode == 255
    run(admit(own_sshd.user, visitor.public, 5, MINE))
    done = visitor.log_in("echo", "hello world", "$HOME")
    assert (done.returncode, done.stdout) == (0, "hello world $HOME\n"), own_sshd.log()
    assert visitor.log_in("exit 7").returncode == 7
    run(shut_out(own_sshd.user, MINE))
    assert visitor.log_in("true").returncode == 255


def test_a_key_whose_time_is_over_does_not_log_in(
    own_sshd: Sshd, run: Callable[[object], object], visitor: Visitor
) -> None:
    run(admit(own_sshd.user, visitor.public, -1, MINE))
    assert visitor.log_in("true").returncode == 255


def test_lines_of_others_stay_and_those_that_are_over_go_with_the_next_change(
    own_sshd: Sshd, run: Callable[[object], object], visitor: Visitor, home: Path
) -> None:
    before = lines(home)
    run(admit(own_sshd.user, visitor.public, -1, OTHER))
    run(admit(own_sshd.user, visitor.public, 5, MINE))
    run(admit(own_sshd.user, visitor.public, 5, MINE))
    (added,) = [line for line in lines(home) if line not in before]
    assert added.endswith(f"dtrove-access-{MINE}")
    run(shut_out(own_sshd.user, MINE))
    run(shut_out(own_sshd.user, MINE))
    assert lines(home) == before


def test_the_file_is_its_owners_alone(
    own_sshd: Sshd, run: Callable[[object], object], visitor: Visitor, home: Path
) -> None:
    run(admit(own_sshd.user, visitor.public, 5, MINE))
    assert (home / ".ssh" / "authorized_keys").stat().st_mode & 0o777 == 0o600


def test_another_host_key_is_not_trusted(own_sshd: Sshd, run: Callable[[object], object], visitor: Visitor) -> None:
    run(admit(own_sshd.user, visitor.public, 5, MINE))
    wrong = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKBMcuFPYIqFmbjVgOhhPVX8NXoJTdu9YtVKFMxGLdUy"
    (visitor.folder / "known_hosts").write_text(f"[127.0.0.1]:{own_sshd.port} {wrong}\n")
    assert visitor.log_in("true").returncode == 255
