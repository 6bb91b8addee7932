"""Clusters that are restored in place, in datastore_agentless's own tables, on both engines, over hosts and a store in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.restore import KEPT_FOR, Restore, State
from services.datastore_agentless.restore_plans import plan_restore
from services.datastore_agentless.store import archives, clusters, restores
from shared.contracts.api import BackupDeleteRequested, BackupRequested
from shared.contracts.restores import ClusterRestoreRequested, RestoreConfirmRequested, RestoreUndoRequested
from shared.contracts.values import RestoreRef
from shared.db import Database
from tests.component.hosts.fleet import Stage
from tests.component.hosts.test_restores import keeps
from tests.component.hosts.wishes import manager_for, up
from tests.support.keeping import Killed
from tests.support.places import BROUGHT, OWN

STEPS = ["choose", "fetch", "hold", "exchange", "start", "serve"]
EXCHANGE = "exchange the data for those that are"
FETCH = "fetch the backup"


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of three nodes, which serves, with a backup `b`."""
    made = Stage(database, manager_for=keeps).serve(nodes=3)
    back_up(made, "b")
    return made


@pytest.fixture
def alone(database: Database) -> Stage:
    """A cluster of one node, with a backup `b`."""
    made = Stage(database, manager_for=keeps).serve(nodes=1)
    back_up(made, "b")
    return made


def back_up(stage: Stage, backup: str) -> None:
    wish = BackupRequested(operation_id=f"make-{backup}", backup_id=backup, cluster_id="c", project_id="p")
    actions.request_backup(stage.database, wish, stage.hosts.manager_for, stage.stores)
    stage.settle()


def ask(stage: Stage, operation: str = "r", backup: str = "b") -> ClusterRestoreRequested:
    """Want the data of a backup."""
    event = ClusterRestoreRequested(
        cluster_id="c", operation_id=operation, project_id="p", restore=RestoreRef(backup_id=backup)
    )
    actions.request_restore(stage.database, event, stage.hosts.manager_for)
    return event


def confirm(stage: Stage, operation: str = "yes") -> None:
    event = RestoreConfirmRequested(cluster_id="c", operation_id=operation, project_id="p")
    actions.request_restore(stage.database, event, stage.hosts.manager_for)


def undo(stage: Stage, operation: str = "no") -> None:
    event = RestoreUndoRequested(cluster_id="c", operation_id=operation, project_id="p")
    actions.request_restore(stage.database, event, stage.hosts.manager_for)


def restored(stage: Stage) -> Stage:
    ask(stage)
    stage.settle()
    assert len(stage.said("cluster.restored")) == 1, stage.said("operation.ended")
    return stage


def kept(stage: Stage, operation: str = "r") -> Restore:
    with stage.database.read() as connection:
        return restores.get(connection, operation)


def places(stage: Stage) -> tuple[str, dict[str, str]]:
    """What the primary serves, and what lies beside it."""
    there = stage.fleet["c-0"].places
    return there.serve, there.beside


def die() -> None:
    raise Killed


def as_before(stage: Stage) -> None:
    """The cluster serves what it had, and nothing else is there."""
    assert places(stage) == (OWN, {})
    assert (stage.cluster().status, stage.cluster().history) == (ClusterStatus.ACTIVE, "")
    assert stage.fleet["c-0"].writes


def test_a_cluster_serves_the_data_of_a_backup_and_what_it_had_lies_beside_them(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    assert stage.steps("r") == STEPS
    (told,) = stage.said("cluster.restored")
    assert (told["backup_id"], told["instance_id"], told["restore_id"], told["time"]) == ("b", "c-0", "r", None)
    assert places(stage) == (BROUGHT, {"former": OWN})
    assert (stage.cluster().status, stage.cluster().history, stage.cluster().primary_id) == (
        ClusterStatus.ACTIVE,
        "r",
        "c-0",
    )
    assert (kept(stage).state, kept(stage).held) == (State.KEPT, False)
    assert stage.fleet.writers == ["c-0"]
    assert len(stage.said("accounts.seen")) == 1


def test_it_serves_its_own_data_until_the_others_are_whole(stage: Stage) -> None:
    restored(stage)
    told = stage.fleet["c-0"].told
    assert told.index(FETCH) < len(told) - told[::-1].index("stop postgresql")
    assert stage.fleet["c-0"].places.served == [OWN, BROUGHT]


def test_every_replica_takes_the_primary_s_data_by_an_operation_of_its_own(stage: Stage) -> None:
    restored(stage)
    begun = [one for one in stage.said("operation.begun") if one["kind"] == "rejoin_node"]
    assert len(begun) == 2
    assert stage.statuses() == dict.fromkeys(("c-0", "c-1", "c-2"), "ready")
    for name in ("c-1", "c-2"):
        told = stage.fleet[name].told
        assert "put the copy in its place" in told[told.index("mark its data as no copy") :]


def test_what_it_had_is_dropped_once_that_is_confirmed_and_not_before(stage: Stage) -> None:
    restored(stage)
    confirm(stage)
    assert kept(stage).state == State.DROPPING
    stage.settle()
    (told,) = stage.said("cluster.restore_confirmed")
    assert (told["operation_id"], told["restore_id"]) == ("yes", "r")
    assert (places(stage), kept(stage).state) == ((BROUGHT, {}), State.ENDED)
    assert stage.cluster().history == "r"


def test_what_it_had_comes_back_and_the_others_go_only_once_that_serves(stage: Stage) -> None:
    restored(stage)
    undo(stage)
    stage.settle()
    assert stage.steps("no") == ["look", "hold", "exchange", "start", "serve", "drop"]
    assert len(stage.said("cluster.restore_undone")) == 1
    assert stage.ended("no")["status"] == "succeeded"
    as_before(stage)
    assert kept(stage).state == State.ENDED
    assert stage.statuses() == dict.fromkeys(("c-0", "c-1", "c-2"), "ready")
    assert stage.fleet["c-0"].places.served == [OWN, BROUGHT, OWN]


@pytest.mark.parametrize("moment", [FETCH, "end what was cut off", "stop postgresql", "keep what belongs to the data",
                                    f"{EXCHANGE} restored", "set the administrator's password", "log in and ask"])  # fmt: skip
def test_a_worker_that_dies_in_the_middle_of_it_is_followed_by_one_that_goes_on(alone: Stage, moment: str) -> None:
    ask(alone)
    alone.fleet.meanwhile[moment] = die
    alone.settle()
    assert alone.fleet.meanwhile == {}
    assert len(alone.said("cluster.restored")) == 1
    assert places(alone) == (BROUGHT, {"former": OWN})


@pytest.mark.parametrize("moment", ["see whether data were set aside", "stop postgresql", f"{EXCHANGE} former",
                                    "log in and ask", "remove the data that were beside"])  # fmt: skip
def test_so_is_one_that_dies_while_it_is_undone(alone: Stage, moment: str) -> None:
    restored(alone)
    undo(alone)
    alone.fleet.meanwhile[moment] = die
    alone.settle()
    assert (alone.fleet.meanwhile, alone.ended("no")["status"]) == ({}, "succeeded")
    as_before(alone)


def test_an_engine_that_does_not_begin_on_them_has_the_data_of_before_put_back(stage: Stage) -> None:
    ask(stage)
    primary = stage.fleet["c-0"]

    def refuse() -> None:
        primary.starts = primary.places.serve == OWN

    stage.fleet.meanwhile[f"{EXCHANGE} restored"] = lambda: stage.fleet.meanwhile.update({"start postgresql": refuse})
    stage.fleet.meanwhile[f"{EXCHANGE} former"] = lambda: setattr(primary, "starts", True)
    stage.settle()
    assert stage.ended("r")["status"] == "failed"
    assert "could not read pg_control" in stage.ended("r")["problem"]["stderr"]
    as_before(stage)
    assert (kept(stage).state, kept(stage).held) == (State.ENDED, False)
    assert stage.statuses() == dict.fromkeys(("c-0", "c-1", "c-2"), "ready")


def test_a_restore_that_is_cancelled_leaves_all_as_it_was(alone: Stage) -> None:
    for number, moment in enumerate((FETCH, "stop postgresql", "set the administrator's password")):
        ask(alone, f"r{number}")
        alone.fleet.meanwhile[moment] = lambda number=number: alone.cancel(f"r{number}")  # type: ignore[misc]
        alone.settle()
        assert alone.ended(f"r{number}")["status"] == "cancelled", moment
        as_before(alone)


def test_what_is_damaged_fails_and_a_retry_begins_anew_by_a_job_of_another_name(alone: Stage) -> None:
    alone.store.lost = {1}
    ask(alone)
    alone.settle()
    assert "has not all parts" in alone.ended("r")["problem"]["message"]
    as_before(alone)
    alone.store.lost = set()
    alone.retry("r")
    alone.settle()
    assert len(alone.said("cluster.restored")) == 1
    assert kept(alone).job == "receive-2"


def test_where_there_is_no_room_for_both_it_says_so_before_anything_is_fetched(alone: Stage) -> None:
    alone.fleet.says["see how much room there is"] = "4000 0\n"
    ask(alone)
    alone.settle()
    problem = alone.ended("r")["problem"]
    assert ("beside its data" in problem["message"], "volumes larger first" in problem["what_to_do"]) == (True, True)
    assert FETCH not in alone.fleet["c-0"].told


def test_data_that_nobody_knows_of_are_not_written_over(alone: Stage) -> None:
    alone.fleet["c-0"].places.beside["former"] = "somebody's"
    ask(alone)
    alone.settle()
    assert "nobody knows by whom" in alone.ended("r")["problem"]["message"]
    assert alone.fleet["c-0"].places.beside == {"former": "somebody's"}


def test_another_primary_ends_it_and_the_cluster_serves_on(stage: Stage) -> None:
    ask(stage)
    stage.fleet.meanwhile[FETCH] = lambda: stage.switch_over(to="c-1")
    stage.settle()
    assert stage.ended("move")["status"] == "succeeded"
    assert stage.ended("r")["status"] == "failed"
    assert "another node has become the primary" in stage.ended("r")["problem"]["message"]
    assert (stage.fleet.writers, places(stage)) == (["c-1"], (OWN, {}))


def test_while_the_data_change_places_nobody_takes_over(stage: Stage) -> None:
    ask(stage)
    stage.fleet.meanwhile["stop postgresql"] = lambda: stage.fail_over()
    stage.settle()
    assert "does not serve" in stage.ended("move")["problem"]["message"]
    assert len(stage.said("cluster.restored")) == 1


def test_what_it_had_stays_where_it_lies_when_another_node_leads_and_comes_back_once_that_one_does_again(
    stage: Stage,
) -> None:
    restored(stage)
    stage.switch_over("there", to="c-1")
    stage.settle()
    undo(stage, "too-early")
    assert "lies on c-0, which is not the primary any more" in stage.ended("too-early")["problem"]["message"]
    stage.switch_over("back", to="c-0")
    stage.settle()
    undo(stage)
    stage.settle()
    as_before(stage)


def test_no_other_restore_begins_while_something_is_kept(alone: Stage) -> None:
    restored(alone)
    ask(alone, "again")
    assert "confirm or undo that one first" in alone.ended("again")["problem"]["what_to_do"]
    undo(alone)
    alone.settle()
    ask(alone, "again2")
    alone.settle()
    assert kept(alone, "again2").state == State.KEPT


def test_where_nothing_is_kept_nothing_is_confirmed_or_undone(alone: Stage) -> None:
    confirm(alone)
    undo(alone)
    for operation in ("yes", "no"):
        assert "nothing is kept of before a restore" in alone.ended(operation)["problem"]["message"]


def test_an_undoing_that_does_not_come_about_keeps_both(alone: Stage) -> None:
    restored(alone)
    primary = alone.fleet["c-0"]
    alone.fleet.meanwhile[f"{EXCHANGE} former"] = lambda: setattr(primary, "starts", False)
    alone.fleet.meanwhile[f"{EXCHANGE} undone"] = lambda: setattr(primary, "starts", True)
    undo(alone)
    alone.settle()
    assert alone.ended("no")["status"] == "failed"
    assert places(alone) == (BROUGHT, {"former": OWN})
    assert (kept(alone).state, alone.cluster().status, alone.cluster().history) == (
        State.KEPT,
        ClusterStatus.ACTIVE,
        "r",
    )
    alone.retry("no")
    alone.settle()
    assert len(alone.said("cluster.restore_undone")) == 1
    as_before(alone)


def test_what_nobody_speaks_of_goes_when_its_time_is_over(alone: Stage) -> None:
    restored(alone)
    assert actions.purge(alone.database) == 0
    alone.clock.advance(KEPT_FOR.total_seconds() + 1)
    assert actions.purge(alone.database) == 1
    alone.settle()
    (begun,) = [one for one in alone.said("operation.begun") if one["kind"] == "confirm_restore"]
    assert alone.said("cluster.restore_confirmed")[0]["operation_id"] == begun["operation_id"]
    assert places(alone) == (BROUGHT, {})
    assert actions.purge(alone.database) == 0


def test_a_node_whose_server_was_made_anew_has_taken_it_along(alone: Stage) -> None:
    restored(alone)
    with alone.database.write() as tx:
        clusters.change_instance(tx, alone.instance("c-0"), server="another")
    confirm(alone)
    assert len(alone.said("cluster.restore_confirmed")) == 1
    assert kept(alone).state == State.ENDED


def test_a_backup_stays_while_its_data_are_fetched(alone: Stage) -> None:
    def delete() -> None:
        wish = BackupDeleteRequested(operation_id="x", backup_id="b", cluster_id="c", project_id="p")
        actions.delete_backup(alone.database, wish)

    ask(alone)
    alone.fleet.meanwhile[FETCH] = delete
    alone.settle()
    (refused,) = alone.said("backup.delete_failed")
    assert (refused["kept"], "just being given its data" in refused["problem"]["message"]) == (True, True)
    assert len(alone.said("cluster.restored")) == 1


@pytest.mark.parametrize(("backup", "words"), [("nobody", "there is no backup nobody any more")])
def test_a_backup_that_is_not_there_is_refused_at_once(alone: Stage, backup: str, words: str) -> None:
    ask(alone, backup=backup)
    assert words in alone.ended("r")["problem"]["message"]


def test_a_manager_whose_data_dtrove_does_not_keep_is_refused_with_a_sentence(database: Database) -> None:
    def bare(entry: Datastore) -> BaseManager:
        made: BaseManager = manager_for(entry)
        made.dumping_class = None
        return made

    stage = Stage(database, manager_for=bare).serve(nodes=1)
    ask(stage)
    assert (
        "makes no backups that DTrove keeps: its data are not replaced by DTrove either"
        in stage.ended("r")["problem"]["message"]
    )


def test_a_wish_that_comes_twice_is_one(alone: Stage) -> None:
    event = ask(alone)
    actions.request_restore(alone.database, event, alone.hosts.manager_for)
    again = ClusterRestoreRequested(cluster_id="c", operation_id="r", project_id="p", restore=RestoreRef(backup_id="b"))
    actions.request_restore(alone.database, again, alone.hosts.manager_for)
    alone.settle()
    assert len(alone.said("cluster.restored")) == 1


def test_backups_of_the_new_data_are_told_apart_from_those_of_before_and_the_log_begins_anew(alone: Stage) -> None:
    with alone.database.write() as tx:
        archives.enrol(tx, "c", "p")
        before = archives.find(tx.connection, "c")
    restored(alone)
    with alone.database.read() as connection:
        after = archives.find(connection, "c")
    assert before is not None
    assert after is not None
    assert (before.history, after.history, after.begun, after.until) == ("", "r", {}, None)
    assert after.epoch > before.epoch


def test_plans_show_what_runs_what_is_kept_and_what_is_lost(stage: Stage) -> None:
    cluster, there = stage.cluster(), [stage.instance(f"c-{number}") for number in range(3)]
    with stage.database.read() as connection:
        manager = stage.hosts.manager(there[0])
        del connection

    def plan(action: str) -> dict[str, Any]:
        return plan_restore(manager, cluster, there, action, "the data of then")

    whole = plan("restore")
    titles = [one["title"] for one in whole["hosts"][0]["commands"]]
    assert (
        titles.index(FETCH)
        < titles.index("stop postgresql")
        < titles.index(f"{EXCHANGE} restored")
        < titles.index("start postgresql")
    )
    assert (whole["moves"][0], len(whole["restarts"])) == ("the data of then", 3)
    assert "AGE-SECRET-KEY" not in str(whole)
    assert plan("undo")["lost"] == ["what was written to cluster c since it was restored"]
    assert plan("confirm")["lost"] == ["what cluster c had before it was restored"]
    assert [one["title"] for one in plan("confirm")["hosts"][0]["commands"]] == ["remove the data that were beside"]


def test_a_server_that_comes_up_anew_in_the_middle_fails_it(alone: Stage) -> None:
    ask(alone)
    alone.fleet.meanwhile[FETCH] = lambda: actions.prepare_node(alone.database, replace(up("c-0"), server="another"))
    alone.settle(seconds=7200)
    assert alone.ended("r")["status"] == "failed"
