"""Clusters restored in place on the command line: asked for once that is meant, shown, confirmed, undone."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from client.exits import Exit
from shared.contracts import restores
from shared.contracts.base import Event, utcnow
from shared.contracts.operations import OperationEnded
from tests.unit.client.conftest import Done
from tests.unit.client.test_cli_backups import Keeper, keeper
from tests.unit.client.world import World

Dtrove = Callable[..., Done]
__all__ = ["keeper"]


class Restorer:
    """datastore_agentless, which restores at once."""

    def __init__(self, world: World) -> None:
        self.wishes: list[Any] = []
        self.restore = ""
        world.answers["cluster.restore_requested"] = self.restored
        world.answers["restore.confirm_requested"] = self.confirmed
        world.answers["restore.undo_requested"] = self.undone

    def restored(self, wish: Any) -> list[Event]:
        self.wishes.append(wish)
        self.restore = wish.operation_id
        return [restores.ClusterRestored(**self._ids(wish), backup_id=wish.restore.backup_id, instance_id=wish.cluster_id,
                                         time=wish.restore.time, purge_at=utcnow() + timedelta(days=7))]  # fmt: skip

    def confirmed(self, wish: Any) -> list[Event]:
        self.wishes.append(wish)
        return [restores.ClusterRestoreConfirmed(**self._ids(wish))]

    def undone(self, wish: Any) -> list[Event]:
        self.wishes.append(wish)
        ended = OperationEnded(operation_id=wish.operation_id, cluster_id=wish.cluster_id, status="succeeded")
        return [restores.ClusterRestoreUndone(**self._ids(wish)), ended]

    def _ids(self, wish: Any) -> dict[str, str]:
        return {"cluster_id": wish.cluster_id, "project_id": wish.project_id, "operation_id": wish.operation_id,
                "restore_id": self.restore}  # fmt: skip


@pytest.fixture
def backup(world: World, dtrove: Dtrove, keeper: Keeper) -> str:
    """A cluster that serves, and a backup of it."""
    assert dtrove("backup", "create", "shop", "--wait").code == 0
    return str(dtrove("backup", "list", "shop", "--json").json[0]["id"])


@pytest.fixture
def restorer(world: World, backup: str) -> Restorer:
    return Restorer(world)


def test_a_cluster_is_restored_once_that_is_meant_and_shows_until_when_what_it_had_is_kept(
    dtrove: Dtrove, restorer: Restorer, backup: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    refused = dtrove("cluster", "restore", "shop", "--backup", backup)
    assert (refused.code, "Replace the data of shop" in refused.err, restorer.wishes) == (1, True, [])
    done = dtrove("cluster", "restore", "shop", "--backup", backup, "--yes", "--wait", "--json")
    assert done.code == 0, done.err
    assert done.json["restored_in_place"]["backup"] == backup
    assert restorer.wishes[0].restore.backup_id == backup
    shown = dtrove("cluster", "show", "shop").out
    assert "dtrove cluster restore shop --confirm, or --undo" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("word", "topic"), [("--confirm", "restore.confirm_requested"), ("--undo", "restore.undo_requested")]
)
def test_what_it_had_is_dropped_or_given_back(
    dtrove: Dtrove, restorer: Restorer, backup: str, word: str, topic: str
) -> None:
    assert dtrove("cluster", "restore", "shop", word, "--yes").code == Exit.CONFLICT
    assert dtrove("cluster", "restore", "shop", "--backup", "shop", "--yes", "--wait").code == 0
    done = dtrove("cluster", "restore", "shop", word, "--yes", "--wait", "--json")
    assert (done.code, done.json["restored_in_place"]) == (0, None), done.err
    assert restorer.wishes[-1].topic == topic


def test_a_plan_asks_nothing_and_changes_nothing(dtrove: Dtrove, restorer: Restorer, backup: str, world: World) -> None:
    done = dtrove("cluster", "restore", "shop", "--backup", backup, "--plan")
    assert (done.code, restorer.wishes) == (0, []), done.err
    assert world.planned[-1]["action"] == "restore"
    assert world.planned[-1]["told"].startswith("the data of cluster shop, as of ")


@pytest.mark.parametrize("words", [(), ("--confirm", "--undo"), ("--undo", "--time", "2026-11-30T12:00:00Z")])
def test_one_thing_is_wanted_at_a_time(dtrove: Dtrove, restorer: Restorer, words: tuple[str, ...]) -> None:
    done = dtrove("cluster", "restore", "shop", *words, "--yes")
    assert (done.code, "say what is wanted" in " ".join(done.err.split())) == (2, True)
    late = dtrove("cluster", "restore", "shop", "--time", "2026-11-30T12:00:00Z", "--yes")
    assert (late.code != 0, "no log is kept of this cluster" in " ".join(late.err.split())) == (True, True)
