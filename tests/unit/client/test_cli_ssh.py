"""`dtrove instance ssh`: a key for one visit, shut out again however the visit ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.exits import Exit
from shared.contracts import datastore_agentless as databases
from shared.contracts.base import utcnow
from shared.contracts.values import Problem
from tests.unit.client.conftest import Done
from tests.unit.client.world import World

Dtrove = Callable[..., Done]

# Writes down how it was called, and with which key and known hosts.
SSH = """#!/bin/sh
printf '%s\\n' "$@" > {folder}/arguments
while [ $# -gt 0 ]; do
  case "$1" in
    -i) stat -c %a "$2" > {folder}/mode; ssh-keygen -y -f "$2" > {folder}/public;;
    UserKnownHostsFile=*) cp "${{1#*=}}" {folder}/known_hosts;;
  esac
  shift
done
exit 7
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which a stand-in for `ssh` leaves what it saw."""
    folder = tmp_path / "ssh"
    folder.mkdir()
    (folder / "ssh").write_text(SSH.format(folder=folder))
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


@pytest.fixture
def wishes(world: World, dtrove: Dtrove) -> list[Any]:
    """What was asked of datastore_agentless, which grants it."""
    asked: list[Any] = []

    def grant(wish: Any) -> list[Any]:
        asked.append(wish)
        return [databases.AccessGranted(
            operation_id=wish.operation_id, cluster_id=wish.cluster_id, instance_id=wish.instance_id, host="10.9.0.2",
            port=2222, user="root", host_keys=("ssh-ed25519 AAAAone", "ssh-ed25519 AAAAtwo"), expires_at=utcnow(),
        )]  # fmt: skip

    def revoke(wish: Any) -> list[Any]:
        asked.append(wish)
        return [databases.AccessRevoked(operation_id=wish.operation_id, cluster_id=wish.cluster_id,
                                        instance_id=wish.instance_id, access=wish.access)]  # fmt: skip

    world.answers |= {"access.requested": grant, "access.revoke_requested": revoke}
    dtrove("cluster", "create", "shop", "--datastore", "pgsql 15", "--wait")
    return asked


def closed(world: World, wishes: list[Any]) -> Any:
    assert world.wait_for(lambda: len(wishes) == 2)
    return wishes[1]


def test_ssh_is_called_with_a_key_for_this_once_and_the_pinned_host_keys(
    world: World, wishes: list[Any], program: Path, dtrove: Dtrove
) -> None:
    done = dtrove("instance", "ssh", "shop-1", "--minutes", "5", "--", "ls", "-l", "a b")
    assert done.code == 7
    words = (program / "arguments").read_text().splitlines()
    assert words[-2:] == ["--", "ls -l 'a b'"]
    assert words[words.index("-p") :][:5] == ["-p", "2222", "-l", "root", "10.9.0.2"]
    assert "StrictHostKeyChecking=yes" in words
    assert (program / "mode").read_text() == "600\n"
    opened = wishes[0]
    assert opened.public_key.split() == (program / "public").read_text().split()[:2]
    assert opened.minutes == 5
    known = (program / "known_hosts").read_text()
    assert known == "[10.9.0.2]:2222 ssh-ed25519 AAAAone\n[10.9.0.2]:2222 ssh-ed25519 AAAAtwo\n"
    assert closed(world, wishes).access == opened.operation_id


def test_nothing_of_the_key_is_left_behind(world: World, wishes: list[Any], program: Path, dtrove: Dtrove) -> None:
    dtrove("instance", "ssh", "shop-1")
    words = (program / "arguments").read_text().splitlines()
    assert not Path(words[words.index("-i") + 1]).parent.exists()


def test_without_an_ssh_the_way_in_is_shut_again(
    world: World, wishes: list[Any], dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = dtrove("instance", "ssh", "shop-1")
    assert done.code == Exit.FAILED
    assert "no program `ssh`" in done.err
    assert closed(world, wishes)


def test_a_refusal_is_explained_and_ssh_is_not_called(
    world: World, wishes: list[Any], program: Path, dtrove: Dtrove
) -> None:
    world.answers["access.requested"] = lambda wish: [
        databases.AccessFailed(operation_id=wish.operation_id, cluster_id=wish.cluster_id, instance_id=wish.instance_id,
                               problem=Problem(step="grant_access", message="a login there is no login on the instance"))
    ]  # fmt: skip
    done = dtrove("instance", "ssh", "shop-1")
    assert done.code == Exit.FAILED
    assert "no login on the instance" in done.err
    assert not (program / "arguments").exists()


def test_only_an_administrator_may_log_in(
    world: World, wishes: list[Any], dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTROVE_TOKEN", dtrove("token", "create", "robot", "--json").json["token"])
    assert dtrove("instance", "ssh", "shop-1").code == Exit.NOT_ALLOWED
    assert wishes == []


def test_that_somebody_logged_in_is_written_down(
    world: World, wishes: list[Any], program: Path, dtrove: Dtrove
) -> None:
    dtrove("instance", "ssh", "shop-1")
    with world.database.read() as connection:
        actions = [row[0] for row in connection.exec_driver_sql("select action from audit order by id")]
    path = "/v1/instances/{instance_id}/access"
    assert actions[-2:] == [f"POST {path}", f"DELETE {path}/{{access_id}}"]
