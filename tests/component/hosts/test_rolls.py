"""Clusters that are started, stopped and restarted, in datastore_agentless's own tables, on both engines, over hosts in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.actions.repairing import consider
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.health import Verdict
from services.datastore_agentless.domain.record import Record
from services.datastore_agentless.store import clusters, watches
from shared.contracts.api import BackupRequested, ClusterRestartRequested, ClusterStartRequested, ClusterStopRequested
from shared.db import Database
from tests.component.hosts.fleet import Stage, kinds
from tests.component.hosts.wishes import back_up, gone, goodbye

NAMES = ("c-0", "c-1", "c-2")


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of three nodes, which serves."""
    return Stage(database).serve()


def restart(stage: Stage, operation: str = "move", node: str = "") -> None:
    asked(stage, ClusterRestartRequested(cluster_id="c", operation_id=operation, project_id="p", instance_id=node))


def stop(stage: Stage, operation: str = "stop") -> None:
    asked(stage, ClusterStopRequested(cluster_id="c", operation_id=operation, project_id="p"))


def start(stage: Stage, operation: str = "start") -> None:
    asked(stage, ClusterStartRequested(cluster_id="c", operation_id=operation, project_id="p"))


def asked(stage: Stage, event: Any) -> None:
    assert actions.request_roll(stage.database, event)


def stopped(stage: Stage) -> Stage:
    stop(stage)
    stage.settle()
    assert stage.said("cluster.stopped", "stop")
    return stage


def began(stage: Stage) -> dict[str, int]:
    """How often each engine was started."""
    return {name: stage.fleet[name].began for name in NAMES}


def hosts_of(stage: Stage, operation: str, *steps: str) -> list[tuple[str, str]]:
    """Which steps came about where, in order."""
    told = stage.said("operation.progressed", operation)
    return [(one["step"], one["host"]) for one in told if one["status"] == "succeeded" and one["step"] in steps]


def running(stage: Stage) -> list[str]:
    return [name for name in NAMES if stage.fleet[name].runs]


def test_a_restart_rolls_over_the_replicas_hands_over_once_and_restarts_the_former_primary(stage: Stage) -> None:
    before = began(stage)
    restart(stage)
    stage.settle()
    assert stage.steps() == [
        "look", "restart", "serve", "restart", "serve",
        "check", "freeze", "catch_up", "choose", "promote", "rewire", "protect", "address", "restart", "serve",
    ]  # fmt: skip
    assert [host for _, host in hosts_of(stage, "move", "serve")] == ["c-1", "c-2", "c-0"]
    assert stage.fleet.writers == ["c-1"]
    # A frozen PostgreSQL was started again already: nobody's clients are cut off twice.
    assert began(stage) == {name: before[name] + 1 for name in NAMES}
    assert {one["primary_id"] for one in stage.said("primary.changed", "move")} == {"c-1"}
    (ended,) = stage.said("cluster.restarted", "move")
    result = ended["result"]
    assert (result["primary"]["id"], result["former"]) == ("c-1", "c-0")
    assert result["evidence"]["catch_up"]["c-0"]["writable"] is False
    assert [one["name"] for one in result["nodes"]] == ["c-1", "c-2", "c-0"]
    assert all(one["lived"] != one["lives"] != "" for one in result["nodes"])
    assert stage.said("operation.ended") == []
    assert not stage.under_way()


def test_one_node_alone_is_restarted_where_it_is(database: Database) -> None:
    stage = Stage(database).serve(nodes=1)
    before = began(stage)
    restart(stage)
    stage.settle()
    assert stage.steps() == ["look", "restart", "serve"]
    assert began(stage)["c-0"] == before["c-0"] + 1
    assert len(stage.said("cluster.restarted", "move")) == 1


@pytest.mark.parametrize("node", ["c-0", "c-2"])
def test_a_node_that_is_named_is_restarted_by_itself_with_nobody_taking_over(stage: Stage, node: str) -> None:
    before = began(stage)
    restart(stage, node=node)
    stage.settle()
    assert began(stage) == before | {node: before[node] + 1}
    assert stage.fleet.writers == ["c-0"]
    assert stage.said("primary.changed") == []
    assert len(stage.said("cluster.restarted", "move")) == 1


def test_a_roll_stops_at_the_first_node_that_does_not_come_up_and_a_retry_goes_on_from_there(stage: Stage) -> None:
    before = began(stage)
    stage.fleet["c-2"].starts = False
    restart(stage)
    stage.settle()
    ended = stage.ended()
    assert (ended["status"], ended["problem"]["host"], ended["problem"]["step"]) == ("failed", "c-2", "restart")
    assert "could not read pg_control" in ended["problem"]["stderr"]
    assert "read the engine's last words" in stage.fleet["c-2"].told
    assert stage.fleet.writers == ["c-0"]
    assert began(stage) == before | {"c-1": before["c-1"] + 1}
    stage.fleet["c-2"].starts = True
    stage.retry()
    stage.settle()
    assert len(stage.said("cluster.restarted", "move")) == 1
    assert began(stage) == {name: before[name] + 1 for name in NAMES}


def test_a_replica_that_comes_up_and_does_not_follow_stops_the_roll_with_its_last_words(stage: Stage) -> None:
    before = began(stage)
    stage.fleet["c-1"].deaf = "sim-c-0.invalid"
    restart(stage)
    stage.settle()
    ended = stage.ended()
    assert ended["status"] == "failed"
    assert "c-1 does not serve after 300 s: it does not follow c-0" in ended["problem"]["message"]
    assert stage.fleet["c-1"].told[-1] == "read the engine's last words"
    assert began(stage) == before | {"c-1": before["c-1"] + 1}


@pytest.mark.parametrize("title", ["start postgresql", "see since when the engine lives", "see whether it follows"])
def test_a_cancel_leaves_every_node_running(stage: Stage, title: str) -> None:
    restart(stage)
    stage.fleet.meanwhile[title] = stage.cancel
    stage.settle()
    assert stage.fleet.meanwhile == {}
    assert stage.ended()["status"] == "cancelled"
    assert running(stage) == list(NAMES)
    assert stage.fleet.writers == ["c-0"]
    # And another roll may begin.
    restart(stage, "again")
    stage.settle()
    assert len(stage.said("cluster.restarted", "again")) == 1


def test_a_switchover_that_fails_ends_the_restart_and_a_retry_goes_on_with_it(stage: Stage) -> None:
    restart(stage)

    def stay_behind() -> None:
        for name in NAMES[1:]:
            stage.fleet[name].stuck, stage.fleet[name].received = True, 900

    stage.fleet.meanwhile["see where it was frozen"] = stay_behind
    stage.settle()
    assert stage.ended()["status"] == "failed"
    assert stage.fleet.writers == ["c-0"]
    for name in NAMES[1:]:
        stage.fleet[name].stuck = False
    stage.retry()
    stage.settle()
    assert len(stage.said("cluster.restarted", "move")) == 1
    assert stage.fleet.writers == ["c-1"]
    assert [host for _, host in hosts_of(stage, "move", "serve")] == ["c-1", "c-2", "c-0"]


@pytest.mark.parametrize("title", ["start postgresql", "log in and ask", "see whether it follows", "take writes"])
def test_whoever_dies_in_the_middle_of_a_restart_finds_what_was_done_and_restarts_nobody_twice(
    stage: Stage, title: str
) -> None:
    before = began(stage)
    restart(stage)

    def die() -> None:
        raise RuntimeError("kill -9")

    stage.fleet.meanwhile[title] = die
    stage.settle()
    assert stage.fleet.meanwhile == {}
    assert len(stage.said("cluster.restarted", "move")) == 1
    assert began(stage) == {name: before[name] + 1 for name in NAMES}
    assert len({one["primary_id"] for one in stage.said("primary.changed", "move")}) == 1


def test_a_stop_takes_the_replicas_first_then_the_primary_and_nobody_starts_them(stage: Stage) -> None:
    stopped(stage)
    assert hosts_of(stage, "stop", "stop") == [("stop", "c-1"), ("stop", "c-2"), ("stop", "c-0")]
    assert running(stage) == []
    assert not any(stage.fleet[name].boots for name in NAMES)
    assert stage.cluster().status == ClusterStatus.STOPPED
    with stage.database.write() as tx:
        clusters.lock(tx, "c")
        now = stage.clock.now()
        records = {name: Record(name, "c", verdict, "", now, now) for name, verdict in zip(
            NAMES, (Verdict.HOST_DOWN, Verdict.DB_DOWN, Verdict.DB_DOWN), strict=True)}  # fmt: skip
        consider(tx, "c", records)
        assert watches.unwatched(tx.connection) == []
        assert watches.load(tx.connection, ["c"]) == []
    assert kinds(stage.said("operation.begun")) == []


def test_a_stopped_cluster_takes_no_other_wish_than_to_be_started_or_deleted(stage: Stage) -> None:
    stopped(stage)
    asks: tuple[Callable[[str], object], ...] = (
        stage.switch_over, stage.fail_over, lambda one: restart(stage, one), lambda one: stop(stage, one),
    )  # fmt: skip
    for number, ask in enumerate(asks):
        ask(f"no-{number}")
        refused = stage.ended(f"no-{number}")
        assert (refused["status"], "active" in refused["problem"]["what_to_do"]) == ("failed", True)
    back_up(stage.database, BackupRequested(operation_id="b", backup_id="b", cluster_id="c", project_id="p"))
    assert stage.said("backup.failed")[0]["problem"]["message"] == "the cluster is stopped"
    assert stage.engine.run_due() is None


def test_a_start_brings_back_the_primary_of_before_then_the_replicas(stage: Stage) -> None:
    stage.switch_over(to="c-2")
    stage.settle()
    stopped(stage)
    start(stage)
    stage.settle()
    assert [host for _, host in hosts_of(stage, "start", "serve")] == ["c-2", "c-0", "c-1"]
    assert stage.fleet.writers == ["c-2"]
    assert stage.cluster().status == ClusterStatus.ACTIVE
    (told,) = stage.said("cluster.started", "start")
    assert told["problem"] is None
    assert not any(stage.fleet[name].boots for name in NAMES), "engines of several nodes start by hand"


def test_a_node_alone_starts_with_its_host_until_it_is_stopped_and_again_once_it_is_started(database: Database) -> None:
    stage = stopped(Stage(database).serve(nodes=1))
    assert not stage.fleet["c-0"].boots
    start(stage)
    stage.settle()
    assert stage.fleet["c-0"].boots
    assert stage.fleet.writers == ["c-0"]


def test_a_primary_that_was_left_frozen_takes_writes_once_its_cluster_is_started(stage: Stage) -> None:
    stage.fleet["c-0"].standby = True
    stopped(stage)
    start(stage)
    stage.settle()
    assert stage.fleet.writers == ["c-0"]


def test_a_primary_that_does_not_start_leaves_the_cluster_stopped_and_a_retry_goes_on(stage: Stage) -> None:
    stopped(stage)
    stage.fleet["c-0"].starts = False
    start(stage)
    stage.settle()
    assert stage.ended("start")["status"] == "failed"
    assert stage.cluster().status == ClusterStatus.STOPPED
    assert running(stage) == []
    stage.fleet["c-0"].starts = True
    stage.retry("start")
    stage.settle()
    assert len(stage.said("cluster.started", "start")) == 1
    assert running(stage) == list(NAMES)


def test_a_cluster_whose_replica_does_not_start_serves_all_the_same_and_says_so(stage: Stage) -> None:
    stopped(stage)
    stage.fleet["c-1"].starts = False
    start(stage)
    stage.settle()
    (told,) = stage.said("cluster.started", "start")
    assert told["problem"]["host"] == "c-1"
    assert stage.cluster().status == ClusterStatus.ACTIVE
    stage.fleet["c-1"].starts = True
    stage.retry("start")
    stage.settle()
    assert stage.said("cluster.started", "start")[1]["problem"] is None
    assert running(stage) == list(NAMES)


@pytest.mark.parametrize("cause", ["cancelled", "failed"])
def test_a_stop_that_does_not_come_about_has_every_node_serve_again(stage: Stage, cause: str) -> None:
    stop(stage)
    if cause == "cancelled":
        stage.fleet.meanwhile["see that postgresql is gone"] = lambda: stage.cancel("stop")
    else:
        stage.fleet["c-2"].reachable = False
        stage.settle(100)
        assert running(stage) == ["c-0", "c-2"]
        stage.settle(100)
    stage.settle()
    if cause == "failed":
        assert "c-2 does not answer" in stage.ended("stop")["problem"]["message"]
        stage.fleet["c-2"].reachable = True
    assert stage.ended("stop")["status"] == cause
    assert running(stage) == list(NAMES)
    assert stage.cluster().status == ClusterStatus.ACTIVE
    assert stage.said("cluster.stopped") == stage.said("cluster.started") == []
    if cause == "failed":
        stage.retry("stop")
        stage.settle()
        assert running(stage) == []
        assert len(stage.said("cluster.stopped", "stop")) == 1


def test_a_start_that_is_cancelled_leaves_the_cluster_stopped(stage: Stage) -> None:
    stopped(stage)
    stage.fleet.meanwhile["see whether it follows"] = lambda: stage.cancel("start")
    start(stage)
    stage.settle()
    assert stage.ended("start")["status"] == "cancelled"
    assert running(stage) == []
    assert stage.cluster().status == ClusterStatus.STOPPED
    start(stage, "again")
    stage.settle()
    assert len(stage.said("cluster.started", "again")) == 1


def test_a_cluster_with_a_node_apart_is_not_stopped_before_that_one_is_back(stage: Stage) -> None:
    stage.fleet.meanwhile["take writes"] = lambda: setattr(stage.fleet["c-2"], "reachable", False)
    stage.switch_over(to="c-1")
    stage.settle(120)
    stop(stage)
    ended = stage.ended("stop")
    assert (ended["status"], ended["problem"]["message"]) == ("failed", "c-2 is apart, or on its way back")
    stage.fleet["c-2"].reachable = True
    stage.settle()
    stage.retry("stop")
    stage.settle()
    assert running(stage) == []


@pytest.mark.parametrize("ask", [restart, stop, start])
def test_a_cluster_that_is_deleted_in_the_middle_of_a_roll_goes_whole(
    stage: Stage, ask: Callable[[Stage, str], None]
) -> None:
    if ask is start:
        stopped(stage)
    ask(stage, "move")
    title = "stop postgresql" if ask is stop else "start postgresql"
    stage.fleet.meanwhile[title] = lambda: actions.release_cluster(stage.database, goodbye(nodes=3))
    stage.settle()
    assert stage.fleet.meanwhile == {}
    for name in NAMES:
        assert actions.forget_instance(stage.database, gone(name))
    stage.settle()
    assert stage.cluster().status == ClusterStatus.DELETED
    assert stage.engine.run_due() is None


def test_a_failover_in_the_middle_of_a_roll_is_followed_and_makes_the_switchover_unneeded(stage: Stage) -> None:
    def lose_the_primary() -> None:
        stage.fleet["c-0"].reachable = stage.fleet["c-0"].runs = False
        stage.fail_over("over")

    restart(stage)
    # Both replicas are through but for the proof of the second one.
    stage.fleet.meanwhile["start postgresql"] = lambda: stage.fleet.meanwhile.update(
        {"start postgresql": lose_the_primary}
    )
    stage.settle(20)
    stage.fenced("over")
    stage.settle(60)
    assert stage.ended("over")["status"] == "succeeded"
    (ended,) = stage.said("cluster.restarted", "move")
    assert [one["name"] for one in ended["result"]["nodes"]] == ["c-1", "c-2"]
    assert stage.fleet.writers == ["c-1"]
