"""Backups in datastore_agentless's own tables, on both engines, over hosts and a store in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.dumping import SEND_ANEW
from services.datastore_agentless.domain.backup import Backup, State
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.health import Verdict
from services.datastore_agentless.domain.record import Record
from services.datastore_agentless.hosts.base import CommandFailed, Job, Script
from services.datastore_agentless.store import backups, health
from shared.contracts.api import BackupDeleteRequested, BackupRequested
from shared.contracts.scheduler import BackupDue, BackupExpired
from shared.db import Database
from tests.component.hosts.fleet import Stage
from tests.component.hosts.wishes import at_once, gone, goodbye, manager_for
from tests.support.keeping import SECRET_URL, SUMS, Killed, SomeDumping

STEPS = ["choose", "install", "begin", "send", "finish"]


def keeps(entry: Datastore) -> BaseManager:
    """PostgreSQL's manager, whose data somebody else makes a stream of."""
    made: BaseManager = manager_for(entry)
    made.dumping_class = SomeDumping
    return made


class OwnManager(BaseManager):
    """Makes backups in a way of its own."""

    def backup(self, instance: Any) -> Script:
        yield Job("backup", "own --dump", title="back up in its own way")


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of two nodes, which serves."""
    return Stage(database, manager_for=keeps).serve(nodes=2)


def ask(stage: Stage, backup: str = "b", **values: Any) -> BackupRequested:
    """Want a backup, under the operation `make-b`."""
    event = BackupRequested(operation_id=f"make-{backup}", backup_id=backup, cluster_id="c", project_id="p", **values)
    actions.request_backup(stage.database, event, stage.hosts.manager_for, stage.stores)
    return event


def delete(stage: Stage, backup: str = "b") -> None:
    """Want it gone, under the operation `drop-b`."""
    actions.delete_backup(
        stage.database,
        BackupDeleteRequested(operation_id=f"drop-{backup}", backup_id=backup, cluster_id="c", project_id="p"),
    )


def kept(stage: Stage, backup: str = "b") -> Backup:
    with stage.database.read() as connection:
        return backups.get(connection, backup)


def state(stage: Stage, backup: str = "b") -> State:
    return kept(stage, backup).state


def seen(stage: Stage, node: str, verdict: Verdict, seconds_ago: float = 5.0) -> None:
    """The watch has looked at a node."""
    at = stage.clock.now() - timedelta(seconds=seconds_ago)
    with stage.database.write() as tx:
        health.forget_nodes(tx, (node,))
        health.add(tx, [Record(node, "c", str(verdict), "", since=at, seen_at=at)])


def bury(stage: Stage) -> None:
    """The cluster is deleted, and its servers go."""
    actions.release_cluster(stage.database, goodbye(nodes=2))
    stage.settle()
    for node in ("c-0", "c-1"):
        actions.forget_instance(stage.database, gone(node))
    stage.settle()


def die() -> None:
    raise Killed


def test_a_backup_is_sent_kept_and_told(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    assert stage.steps("make-b") == STEPS
    assert state(stage) == State.COMPLETED
    (started,), (completed,) = stage.said("backup.started"), stage.said("backup.completed")
    assert (started["instance_id"], started["kind"], started["store"]) == ("c-0", "full", "local")
    assert {name: completed[name] for name in ("backup_id", "cluster_id", "project_id", "operation_id", "kind", "store")} == {
        "backup_id": "b", "cluster_id": "c", "project_id": "p", "operation_id": "make-b", "kind": "full", "store": "local",
    }  # fmt: skip
    assert completed["facts"] == {
        "engine": "15.4", "begun_at": "2026-11-30T00:00:00+00:00", "ended_at": "2026-11-30T00:00:00+00:00",
        "position": "0/100", "size_bytes": 5000, "stored_bytes": 1000, "parts": 2,
        "tally": {"databases": [{"name": "shop", "tables": 2, "rows": 7, "sums": 1}], "tables": 2, "rows": 7, "sums": 1,
                  "changed": 1, "left": 0, "why": ""},
    }  # fmt: skip


def test_the_manifest_beside_the_parts_is_the_catalogue_s(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    manifest = json.loads(stage.store.manifest("p/c/b"))
    assert manifest == kept(stage).manifest
    assert (manifest["version"], manifest["backup"], manifest["project"], manifest["kind"]) == (1, "b", "p", "full")
    assert manifest["cluster"] == {"id": "c", "name": "c"}
    assert manifest["datastore"] == {"manager": "pgsql", "version": "15", "name": "pgsql - 15"}
    assert [(one["number"], one["size"], one["sha256"]) for one in manifest["parts"]] == [
        (1, 700, SUMS[0]),
        (2, 300, SUMS[1]),
    ]
    assert manifest["recipient"].startswith("age1")
    assert set(manifest["tools"]) == {"zstd", "age", "bash"}
    assert manifest["part_bytes"] == stage.store.part_bytes


def test_whoever_may_write_to_a_store_or_open_a_backup_is_told_to_nobody(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    with stage.database.read() as connection:
        private = backups.identity(connection, "p").private.reveal()
        told = json.dumps(
            [dict(row._mapping) for row in connection.execute(stage.database.outbox.select())], default=str
        )
    assert private.startswith("AGE-SECRET-KEY-")
    assert private not in told
    assert SECRET_URL not in told


def test_a_project_has_one_key_though_two_backups_are_its_first(stage: Stage) -> None:
    def key() -> str:
        with stage.database.write() as tx:
            return backups.age_key(tx, "p").public

    assert len(set(at_once(key, key, key))) == 1


@pytest.mark.parametrize(
    ("verdict", "seconds_ago", "taken_from"),
    [(Verdict.OK, 5.0, "c-1"), (Verdict.LAGGING, 5.0, "c-0"), (Verdict.OK, 7200.0, "c-0")],
)
def test_the_data_are_taken_from_a_replica_that_is_known_to_follow_well(
    stage: Stage, verdict: Verdict, seconds_ago: float, taken_from: str
) -> None:
    seen(stage, "c-1", verdict, seconds_ago)
    ask(stage)
    stage.settle()
    assert kept(stage).instance_id == taken_from


def test_a_wish_that_is_heard_twice_makes_one_backup_and_is_answered_again(stage: Stage) -> None:
    asked = ask(stage)
    stage.settle()
    actions.request_backup(stage.database, asked, keeps, stage.stores)
    actions.request_backup(stage.database, replace(asked, event_id="another"), keeps, stage.stores)
    stage.settle()
    assert stage.store.begins == 1
    assert len(stage.said("backup.completed")) == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "incremental"}, "has no incremental backups: each of them is a full one"),
        ({"store": "moon"}, "there is no backup store 'moon'"),
    ],
)
def test_what_cannot_be_is_answered_with_a_sentence(stage: Stage, values: dict[str, str], words: str) -> None:
    ask(stage, **values)
    (failed,) = stage.said("backup.failed")
    assert words in failed["problem"]["message"]
    assert failed["problem"]["what_to_do"]
    assert stage.engine.run_due() is None


def test_a_schedule_s_backup_by_a_manager_s_own_way_is_kept_in_the_catalogue(database: Database) -> None:
    stage = Stage(database, manager_for=keeps).serve(nodes=1)
    stage = replace(stage, manager_for=OwnManager)
    due = BackupDue(schedule_id="s", backup_id="b", operation_id="make-b", cluster_id="c", project_id="p")
    actions.request_backup(database, due, OwnManager, stage.stores)
    stage.settle()
    (completed,) = stage.said("backup.completed")
    assert (completed["schedule_id"], completed["store"], completed["facts"]["parts"]) == ("s", "", 0)
    assert state(stage) == State.COMPLETED
    delete(stage)
    stage.settle()
    assert state(stage) == State.DELETED
    assert stage.store.begins == 0


@pytest.mark.parametrize("moment", ["begin", "send the backup", "see where the engine stands", "finish", "finished"])
def test_a_worker_that_dies_at_any_moment_leaves_one_backup(stage: Stage, moment: str) -> None:
    hooks = stage.fleet.meanwhile if " " in moment else stage.store.meanwhile
    hooks[moment] = die
    ask(stage)
    stage.settle()
    assert hooks == {}
    assert state(stage) == State.COMPLETED
    assert list(stage.store.kept) == ["p/c/b"]
    assert stage.store.begun == {}
    assert len(stage.said("backup.completed")) == 1
    assert json.loads(stage.store.manifest("p/c/b")) == kept(stage).manifest


def test_a_backup_of_which_a_part_is_missing_is_never_completed_and_begins_anew_at_a_retry(stage: Stage) -> None:
    stage.store.lost = {2}
    ask(stage)
    stage.settle()
    (failed,) = stage.said("backup.failed")
    assert failed["problem"]["message"] == "part 2 is not there"
    assert failed["cancelled"] is False
    assert (state(stage), stage.store.begun, stage.store.kept) == (State.FAILED, {}, {})
    assert stage.said("backup.completed") == []
    stage.store.lost = set()
    stage.retry("make-b")
    stage.settle()
    assert state(stage) == State.COMPLETED
    # What a node has sent for one beginning is not taken for what it sends for another.
    assert kept(stage).job == "send-2"


@pytest.mark.parametrize(
    ("times", "end", "beginnings"), [(1, State.COMPLETED, 2), (2, State.COMPLETED, 3), (9, State.FAILED, 3)]
)
def test_data_that_an_engine_wrote_to_at_a_bad_moment_are_sent_anew_twice_at_most(
    stage: Stage, times: int, end: State, beginnings: int
) -> None:
    left = times

    def spoil() -> None:
        nonlocal left
        left -= 1
        if left:
            stage.fleet.meanwhile["send the backup"] = spoil
        raise CommandFailed("send the backup ended with code 11", code=SEND_ANEW, stderr="written to meanwhile")

    stage.fleet.meanwhile["send the backup"] = spoil
    ask(stage)
    stage.settle()
    assert (state(stage), kept(stage).beginnings) == (end, beginnings)
    assert (stage.store.begun, list(stage.store.kept)) == ({}, ["p/c/b"] if end == State.COMPLETED else [])


def test_a_store_that_is_away_for_a_while_is_waited_for(stage: Stage) -> None:
    stage.store.away = True
    ask(stage)
    stage.settle(seconds=60)
    assert state(stage) == State.MAKING
    stage.store.away = False
    stage.settle()
    assert state(stage) == State.COMPLETED


@pytest.mark.parametrize("moment", ["see the versions of the tools", "send the backup"])
def test_a_backup_that_is_cancelled_leaves_nothing(stage: Stage, moment: str) -> None:
    stage.fleet.meanwhile[moment] = lambda: stage.cancel("make-b")
    ask(stage)
    stage.settle()
    (failed,) = stage.said("backup.failed")
    assert failed["cancelled"] is True
    assert (state(stage), stage.store.begun, stage.store.kept) == (State.FAILED, {}, {})


def test_a_backup_that_is_whole_before_anybody_can_stop_it_is_one(stage: Stage) -> None:
    stage.store.meanwhile["finish"] = lambda: stage.cancel("make-b")
    ask(stage)
    stage.settle()
    assert (state(stage), list(stage.store.kept)) == (State.COMPLETED, ["p/c/b"])


def test_a_backup_whose_worker_died_when_all_was_kept_and_that_is_cancelled_then_is_none(stage: Stage) -> None:
    def strike() -> None:
        stage.cancel("make-b")
        die()

    stage.store.meanwhile["finished"] = strike
    ask(stage)
    stage.settle()
    assert [one["cancelled"] for one in stage.said("backup.failed")] == [True]
    assert (state(stage), stage.store.begun, stage.store.kept) == (State.FAILED, {}, {})


def test_a_node_that_is_no_more_what_it_was_fails_its_backup_and_a_retry_takes_another(stage: Stage) -> None:
    stage.fleet.meanwhile["send the backup"] = lambda: stage.switch_over(to="c-1")
    ask(stage)
    stage.settle()
    (failed,) = stage.said("backup.failed", "make-b")
    assert failed["problem"]["message"] == "another node has become the primary meanwhile"
    assert (state(stage), stage.store.begun, stage.store.kept) == (State.FAILED, {}, {})
    stage.retry("make-b")
    stage.settle()
    assert (state(stage), kept(stage).instance_id) == (State.COMPLETED, "c-1")


def test_a_node_that_is_dead_for_minutes_is_not_waited_for(stage: Stage) -> None:
    def strike() -> None:
        stage.fleet["c-0"].reachable = False
        seen(stage, "c-0", Verdict.HOST_DOWN, seconds_ago=0.0)

    stage.fleet.meanwhile["send the backup"] = strike
    ask(stage)
    stage.settle(seconds=3600)
    (failed,) = stage.said("backup.failed")
    assert "has not answered for" in failed["problem"]["message"]
    assert (state(stage), stage.store.begun) == (State.FAILED, {})


def test_a_backup_that_is_deleted_is_gone_from_its_store_and_is_remembered(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    delete(stage)
    assert state(stage) == State.DELETING
    stage.settle()
    (deleted,) = stage.said("backup.deleted")
    assert (deleted["backup_id"], deleted["operation_id"]) == ("b", "drop-b")
    assert (state(stage), stage.store.kept) == (State.DELETED, {})


def test_a_backup_that_is_deleted_while_it_is_made_is_stopped_first(stage: Stage) -> None:
    stage.fleet.meanwhile["send the backup"] = lambda: delete(stage)
    ask(stage)
    stage.settle()
    assert [one["cancelled"] for one in stage.said("backup.failed")] == [True]
    assert len(stage.said("backup.deleted")) == 1
    assert (state(stage), stage.store.begun, stage.store.kept) == (State.DELETED, {}, {})


def test_a_worker_that_dies_when_all_is_removed_removes_it_again(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    stage.store.meanwhile["removed"] = die
    delete(stage)
    stage.settle()
    assert (state(stage), len(stage.said("backup.deleted"))) == (State.DELETED, 1)


def test_what_is_unknown_or_gone_is_deleted_at_once(stage: Stage) -> None:
    delete(stage, "nobody")
    assert [one["backup_id"] for one in stage.said("backup.deleted")] == ["nobody"]
    assert stage.engine.run_due() is None


def test_a_store_that_is_away_for_hours_is_asked_again_and_at_last_given_up(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    stage.store.away = True
    actions.delete_backup(stage.database, BackupExpired(schedule_id="s", backup_id="b", operation_id="drop-b",
                                                        cluster_id="c", project_id="p"))  # fmt: skip
    stage.settle(seconds=6 * 3600)
    assert stage.said("backup.delete_failed") == []
    stage.settle()
    (failed,) = stage.said("backup.delete_failed")
    assert "does not answer" in failed["problem"]["message"]
    assert state(stage) == State.DELETING
    stage.store.away = False
    stage.retry("drop-b")
    stage.settle()
    assert state(stage) == State.DELETED


def test_the_catalogue_outlives_its_cluster_and_a_backup_can_be_deleted_after_it(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    bury(stage)
    assert state(stage) == State.COMPLETED
    assert list(stage.store.kept) == ["p/c/b"]
    delete(stage)
    stage.settle()
    assert state(stage) == State.DELETED


def test_a_cluster_s_end_stops_the_making_of_a_backup_and_not_the_removal_of_one(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    ask(stage, "second")
    delete(stage)
    bury(stage)
    assert (state(stage), state(stage, "second")) == (State.DELETED, State.FAILED)
    assert (stage.store.begun, stage.store.kept) == ({}, {})
