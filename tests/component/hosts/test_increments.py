"""Incremental backups in datastore_agentless's own tables, on both engines, over hosts and a store in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.backup import Backup, State
from services.datastore_agentless.domain.chain import Footing
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.health import Verdict
from services.datastore_agentless.store import backups
from services.datastore_agentless.workflows import building_upon
from services.datastore_agentless.workflows.keeping import lock
from shared.contracts.scheduler import BackupExpired
from shared.contracts.values import RestoreRef
from shared.db import Database
from tests.component.hosts.fleet import Stage
from tests.component.hosts.test_backups import ask, delete, die, keeps, kept, seen, state
from tests.component.hosts.wishes import admin_user, manager_for, up, wish
from tests.support.keeping import TAKEN, ChangingDumping, SomeIncrements

TAKE_OVER = "put the data of the backup in place"


def changes(entry: Datastore) -> BaseManager:
    """A manager whose data somebody else makes a stream of, whole or what has changed."""
    made: BaseManager = manager_for(entry)
    made.dumping_class = ChangingDumping
    return made


@pytest.fixture(autouse=True)
def engine() -> Iterator[None]:
    """Nothing of what a test says of the engine is left for the next one."""
    SomeIncrements.others, ChangingDumping.version = set(), "15.4"
    yield
    SomeIncrements.others, ChangingDumping.version = set(), "15.4"


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of two nodes, with a full backup `b`, of its primary."""
    made = Stage(database, manager_for=changes).serve(nodes=2)
    ask(made)
    made.settle()
    return made


def more(stage: Stage, name: str = "one", **values: Any) -> Backup:
    """An incremental one is asked for, and comes to its end."""
    stage.clock.advance(60)
    ask(stage, name, kind="incremental", **values)
    stage.settle()
    return kept(stage, name)


def last_job(stage: Stage, node: str = "c-0") -> str:
    """The script that ran last on a node, beside what installs."""
    return stage.fleet[node].ran[-1]


def instead(stage: Stage, name: str = "one") -> str:
    """Why a full one was made, as everybody is told who hears of it."""
    made = kept(stage, name)
    *_, started = (one for one in stage.said("backup.started") if one["backup_id"] == name)
    (completed,) = (one for one in stage.said("backup.completed") if one["backup_id"] == name)
    assert (made.state, made.kind, made.base_id) == (State.COMPLETED, "full", "")
    assert (started["kind"], completed["kind"], completed["base_id"]) == ("full", "full", "")
    assert started["message"] == completed["message"] == made.manifest["instead"]
    assert "engine --dump\n" in last_job(stage, made.instance_id)
    return str(completed["message"]).removeprefix("a full one in place of an incremental one: ")


def restore(stage: Stage, backup: str = "two") -> None:
    """Want a cluster `d` that begins with a backup; its server comes up."""
    actions.expect_cluster(stage.database, replace(wish("d"), restore=RestoreRef(backup_id=backup)), admin_user)
    actions.issue_key(stage.database, "d")
    actions.prepare_node(stage.database, up("d-0", "d"))


def test_an_incremental_backup_has_what_changed_since_the_last_one_and_says_upon_which_it_builds(stage: Stage) -> None:
    made = more(stage)
    assert (made.state, made.kind, made.base_id, made.instance_id) == (State.COMPLETED, "incremental", "b", "c-0")
    (started, completed) = (stage.said(topic, "make-one")[0] for topic in ("backup.started", "backup.completed"))
    for told in (started, completed):
        assert (told["kind"], told["base_id"], told["message"]) == ("incremental", "b", "")
    manifest = json.loads(stage.store.manifest("p/c/one"))
    assert (manifest["kind"], manifest["base"], manifest["taken"]) == ("incremental", "b", vars(TAKEN))
    assert f"engine --dump --since {TAKEN.position}\n" in last_job(stage)
    assert more(stage, "two").base_id == "one"


def test_it_is_taken_from_the_node_of_its_base_though_another_would_do_for_a_full_one(stage: Stage) -> None:
    seen(stage, "c-1", Verdict.OK)
    assert more(stage).instance_id == "c-0"
    stage.clock.advance(60)
    ask(stage, "full")
    stage.settle()
    assert kept(stage, "full").instance_id == "c-1"
    seen(stage, "c-1", Verdict.OK)
    assert (more(stage, "two").instance_id, kept(stage, "two").base_id) == ("c-1", "full")


def test_without_a_backup_to_build_upon_a_full_one_is_made(database: Database) -> None:
    stage = Stage(database, manager_for=changes).serve(nodes=1)
    more(stage)
    assert instead(stage) == "there is no backup in local that it could build upon"
    assert more(stage, "two").base_id == "one"


def test_data_that_are_others_by_now_are_backed_up_whole(stage: Stage) -> None:
    SomeIncrements.others = {"c-0"}
    more(stage)
    assert "are others by now" in instead(stage)
    SomeIncrements.others = set()
    assert more(stage, "two").base_id == "one"


def test_an_engine_of_another_version_is_backed_up_whole(stage: Stage) -> None:
    ChangingDumping.version = "15.5"
    more(stage)
    assert "the last one is of 15.4, and" in instead(stage)


def test_after_a_failover_the_new_primary_is_backed_up_whole_while_the_node_of_the_last_one_does_not_serve(
    stage: Stage,
) -> None:
    stage.switch_over(to="c-1")
    stage.settle()
    more(stage)
    assert kept(stage, "one").instance_id == "c-1"
    assert "is not known to follow well" in instead(stage)


def test_a_manager_s_own_backups_and_engines_that_know_of_none_are_told_to_ask_for_a_full_one(
    database: Database,
) -> None:
    stage = Stage(database, manager_for=keeps).serve(nodes=1)
    ask(stage, kind="incremental")
    (failed,) = stage.said("backup.failed")
    assert "pgsql - 15 has no incremental backups" in failed["problem"]["message"]
    assert failed["problem"]["what_to_do"] == "ask for a full one"
    assert stage.engine.run_due() is None


@pytest.mark.parametrize("moment", ["see whether the data remember the last backup", "send the backup", "finish"])
def test_a_worker_that_dies_at_any_moment_leaves_one_incremental_backup(stage: Stage, moment: str) -> None:
    (stage.fleet.meanwhile if " " in moment else stage.store.meanwhile)[moment] = die
    made = more(stage)
    assert (made.state, made.base_id) == (State.COMPLETED, "b")
    assert sorted(stage.store.kept) == ["p/c/b", "p/c/one"]


def test_a_backup_that_is_retried_finds_its_base_anew(stage: Stage) -> None:
    stage.store.lost = {2}
    assert more(stage).state == State.FAILED
    stage.store.lost = set()
    delete(stage)
    stage.settle()
    stage.retry("make-one")
    stage.settle()
    assert "that it could build upon" in instead(stage)


def test_nobody_deletes_what_another_one_builds_upon_not_even_whoever_has_not_heard_of_that_yet(stage: Stage) -> None:
    more(stage)
    actions.delete_backup(stage.database, BackupExpired(schedule_id="s", backup_id="b", operation_id="drop-b",
                                                               cluster_id="c", project_id="p"))  # fmt: skip
    stage.settle()
    (refused,) = stage.said("backup.delete_failed", "drop-b")
    assert (refused["kept"], refused["problem"]["message"]) == (True, "the backup one builds upon this one")
    assert (state(stage), sorted(stage.store.kept)) == (State.COMPLETED, ["p/c/b", "p/c/one"])
    delete(stage, "one")
    delete(stage)
    stage.settle()
    assert (state(stage, "one"), state(stage), stage.store.kept) == (State.DELETED, State.DELETED, {})


def test_a_base_is_held_as_soon_as_it_is_chosen_and_let_go_when_nothing_comes_of_it(stage: Stage) -> None:
    stage.fleet.meanwhile["send the backup"] = lambda: delete(stage)
    assert more(stage).state == State.COMPLETED
    assert len(stage.said("backup.delete_failed")) == 1
    stage.fleet.meanwhile["send the backup"] = lambda: stage.cancel("make-two")
    assert more(stage, "two").state == State.FAILED
    actions.delete_backup(stage.database, BackupExpired(schedule_id="s", backup_id="one", operation_id="drop-one",
                                                               cluster_id="c", project_id="p"))  # fmt: skip
    stage.settle()
    assert state(stage, "one") == State.DELETED


def test_a_base_that_goes_while_it_is_chosen_is_built_upon_by_nobody(stage: Stage) -> None:
    chosen = Footing(kept(stage), stage.instance("c-0"))
    with stage.database.write() as tx:
        going = lock(tx, "b")
        going.become(State.DELETING)
        backups.save(tx, going)
        coming = replace(going, id="one", manifest={})
        building_upon.build(tx, coming, chosen)
    assert (coming.kind, coming.base_id) == ("full", "")
    assert coming.manifest["instead"].endswith("the one that it was to build upon is being deleted")


def test_a_new_cluster_begins_with_a_chain_fetched_in_one_job_in_order(stage: Stage) -> None:
    more(stage)
    more(stage, "two")
    restore(stage)
    stage.settle()
    (active,) = stage.said("cluster.active", "make-d")
    assert active["primary_id"] == "d-0"
    words = stage.fleet["d-0"].told
    assert words.count("fetch the backup") == 1
    assert words.index("see how much room there is") < words.index("fetch the backup") < words.index(TAKE_OVER)
    ran = last_job(stage, "d-0")
    assert "engine --load --of 3" in ran
    assert "counts=(2 2 2)" in ran
    assert "names=(p/c/b p/c/one p/c/two)" in ran


def test_the_middle_of_a_chain_can_be_restored_as_well_and_a_full_one_by_itself(stage: Stage) -> None:
    more(stage)
    more(stage, "two")
    restore(stage, "one")
    stage.settle()
    assert "engine --load --of 2" in last_job(stage, "d-0")


def test_a_chain_that_has_lost_a_part_fails_the_cluster_and_says_of_which_backup(stage: Stage) -> None:
    more(stage)
    del stage.store.kept["p/c/b"]
    restore(stage, "one")
    stage.settle()
    (failed,) = stage.said("cluster.failed")
    assert "has not all parts of p/c/b" in failed["problem"]["message"]


def test_a_chain_whose_base_is_gone_fails_the_cluster_at_once_and_says_which(stage: Stage) -> None:
    more(stage)
    with stage.database.write() as tx:
        gone = lock(tx, "b")
        gone.become(State.DELETING)
        gone.become(State.DELETED)
        backups.save(tx, gone)
    restore(stage, "one")
    assert "backup one builds upon backup b, which is deleted" in stage.said("cluster.failed")[0]["problem"]["message"]


def test_a_server_without_room_for_a_chain_says_so_before_anything_is_fetched(stage: Stage) -> None:
    more(stage)
    with stage.database.write() as tx:
        large = lock(tx, "one")
        large.manifest = {**large.manifest, "size_bytes": 40 * 1024**3}
        backups.save(tx, large)
    restore(stage, "one")
    stage.settle()
    (failed,) = stage.said("cluster.failed")
    assert "has room for 10.0 GB, and the 2 backups need 40.0 GB" in failed["problem"]["message"]
    assert "fetch the backup" not in stage.fleet["d-0"].told
