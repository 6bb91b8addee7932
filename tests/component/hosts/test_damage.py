"""Backups that their store does not have as they were: marked with all that builds upon them, said once, and good again once fetched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.domain.backup import Backup, State
from services.datastore_agentless.hosts.base import CommandFailed
from services.datastore_agentless.store import backups
from services.datastore_agentless.workflows import damage
from shared.contracts.api import OperationRetryRequested
from shared.contracts.backups import ProofWish
from shared.contracts.values import RestoreRef
from shared.db import Database
from tests.component.hosts.fleet import Stage
from tests.component.hosts.test_backups import ask, delete, die, kept, state
from tests.component.hosts.test_increments import changes, engine, more
from tests.component.hosts.wishes import admin_user, up, wish

__all__ = ["engine"]
FETCH = "fetch the backup"


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of one node, with a full backup `b` and two that build upon it: `one`, and upon that `two`."""
    made = Stage(database, manager_for=changes).serve(nodes=1)
    ask(made)
    made.settle()
    more(made)
    more(made, "two")
    return made


def restore(stage: Stage, backup: str = "b", cluster: str = "d", *, seconds: float = 3600, **values: Any) -> None:
    """Want a cluster that begins with a backup; its server comes up."""
    event = replace(wish(cluster), restore=RestoreRef(backup_id=backup), **values)
    actions.expect_cluster(stage.database, event, admin_user)
    actions.issue_key(stage.database, cluster)
    actions.prepare_node(stage.database, up(f"{cluster}-0", cluster))
    stage.settle(seconds=seconds)


def lose(stage: Stage, backup: str) -> None:
    """What the store has of a backup is gone."""
    stage.store.kept.pop(f"p/c/{backup}")


def damaged(stage: Stage) -> dict[str, str]:
    """Why, by backup, as it was said."""
    said = [one for one in stage.said("backup.failed") if one["damaged"]]
    assert len({one["backup_id"] for one in said}) == len(said), "each is said once"
    return {one["backup_id"]: one["problem"]["message"] for one in said}


def states(stage: Stage) -> list[State]:
    return [state(stage, one) for one in ("b", "one", "two")]


@pytest.mark.fault(22)
def test_a_proof_that_finds_a_backup_missing_marks_it_and_all_that_builds_upon_it(stage: Stage) -> None:
    lose(stage, "one")
    restore(stage, "two", proof=ProofWish(cluster_id="c"))
    assert states(stage) == [State.COMPLETED, State.DAMAGED, State.DAMAGED]
    assert damaged(stage) == {
        "one": "the store has not all parts of p/c/one",
        "two": "it builds upon backup one, which is damaged: the store has not all parts of p/c/one",
    }
    assert len(stage.said("backup.verification_failed")) == 1
    assert {one["operation_id"] for one in stage.said("backup.failed")} == {"make-d"}


@pytest.mark.fault(22)
def test_a_part_that_a_node_finds_changed_damages_the_backup(stage: Stage) -> None:
    words = "dtrove: part 2 is not as it was stored: its SHA-256 is another\ndamaged 2\nage: error: unexpected EOF\n"
    _fails(stage, CommandFailed(FETCH, code=5, stderr=words))
    restore(stage)
    (failed,) = stage.said("cluster.failed")
    assert "part 2 is not as it was stored" in failed["problem"]["message"]
    assert states(stage) == [State.DAMAGED] * 3


@pytest.mark.fault(22)
def test_what_goes_wrong_on_the_node_damages_nothing(stage: Stage) -> None:
    _fails(stage, CommandFailed(FETCH, code=3, stderr="dtrove: the store refuses part 1: 403 AccessDenied\n"))
    restore(stage)
    assert len(stage.said("cluster.failed")) == 1
    assert (states(stage), damaged(stage)) == ([State.COMPLETED] * 3, {})


@pytest.mark.fault(22)
def test_what_has_gone_while_it_was_fetched_is_looked_for_once_more(stage: Stage) -> None:
    def vanish() -> None:
        lose(stage, "b")
        raise CommandFailed(FETCH, code=3, stderr="dtrove: the store refuses part 1: 404 NoSuchKey\n")

    stage.fleet.meanwhile[FETCH] = vanish
    restore(stage)
    assert state(stage) == State.DAMAGED


def test_a_store_that_is_away_damages_nothing(stage: Stage) -> None:
    stage.store.away = True
    restore(stage, seconds=600)
    assert (states(stage), damaged(stage)) == ([State.COMPLETED] * 3, {})


@pytest.mark.fault(22)
def test_a_backup_that_the_project_s_key_does_not_open_cannot_be_restored(stage: Stage) -> None:
    with stage.database.write() as tx:
        other = kept(stage)
        other.manifest["recipient"] = "age1another"
        backups.save(tx, other)
    restore(stage)
    assert "encrypted to another key" in damaged(stage)["b"]
    assert FETCH not in stage.fleet["d-0"].told


def test_whoever_dies_after_it_was_marked_is_followed_by_one_that_says_nothing_twice(stage: Stage) -> None:
    lose(stage, "b")
    with stage.database.write() as tx:
        damage.mark(tx, kept(stage), "make-d", "part 1 is gone")
    restore(stage)
    assert list(damaged(stage)) == ["b", "one", "two"]


def test_a_backup_that_comes_back_whole_after_all_is_good_again_with_its_chain(stage: Stage) -> None:
    lost = stage.store.kept.pop("p/c/one")
    restore(stage, "two")
    stage.store.kept["p/c/one"] = lost
    before = len(stage.said("backup.completed"))
    actions.retry_operation(stage.database, OperationRetryRequested(operation_id="make-d", cluster_id="d"))
    stage.settle()
    assert len(stage.said("cluster.active", "make-d")) == 1
    assert states(stage) == [State.COMPLETED] * 3
    again = stage.said("backup.completed")[before:]
    assert [(one["backup_id"], one["operation_id"], one["base_id"]) for one in again] == [
        ("one", "make-one", "b"),
        ("two", "make-two", "one"),
    ]


def test_nothing_is_built_upon_a_damaged_backup(stage: Stage) -> None:
    lose(stage, "b")
    restore(stage)
    made: Backup = more(stage, "three")
    assert (made.kind, made.base_id, made.state) == ("full", "", State.COMPLETED)


@pytest.mark.parametrize("moment", ["engine --dump", "finished"])
def test_what_is_being_made_upon_it_meanwhile_is_damaged_as_well(stage: Stage, moment: str) -> None:
    def spoil() -> None:
        with stage.database.write() as tx:
            damage.mark(tx, kept(stage, "two"), "make-d", "part 1 is gone")
        if moment == "finished":
            die()

    happens = stage.store.meanwhile if moment == "finished" else stage.fleet.meanwhile
    happens["finished" if moment == "finished" else "send the backup"] = spoil
    made = more(stage, "three")
    assert (made.base_id, made.state) == ("two", State.DAMAGED)
    assert len([one for one in stage.said("backup.completed") if one["backup_id"] == "three"]) == 1
    assert "which is damaged" in damaged(stage)["three"]


def test_a_damaged_backup_can_be_deleted_whatever_builds_upon_it(stage: Stage) -> None:
    lose(stage, "b")
    restore(stage)
    delete(stage)
    stage.settle()
    assert states(stage) == [State.DELETED, State.DAMAGED, State.DAMAGED]


def _fails(stage: Stage, error: Exception) -> None:
    def fail() -> None:
        raise error

    stage.fleet.meanwhile[FETCH] = fail
