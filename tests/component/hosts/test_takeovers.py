"""Takeovers in datastore_agentless's own tables, on both engines, over PostgreSQL's scripts and hosts in memory."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.datastores.pgsql.topology import StreamingReplication
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.takeover import State
from services.datastore_agentless.hosts.base import Script
from shared.db import Database, tasks
from shared.errors import Failure
from tests.component.hosts.fleet import FROZEN, Stage
from tests.component.hosts.wishes import gone, goodbye

HANDING, TAKING = ["check", "freeze", "catch_up"], ["choose", "promote", "rewire", "protect", "address"]
# What waits for long takes thousands of steps, which are the same on both engines.
ON_SQLITE = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of three nodes, which serves."""
    return Stage(database).serve()


def dead(stage: Stage, node: str = "c-0") -> None:
    """Its host is gone with its database."""
    stage.fleet[node].reachable = stage.fleet[node].runs = False


def failed_over(stage: Stage, operation: str = "move") -> None:
    """The whole way of a failover, up to the end of the operation."""
    dead(stage)
    stage.fail_over(operation)
    stage.settle()
    stage.fenced(operation)
    stage.settle()


def test_a_switchover_proves_then_promotes_and_loses_nobody(stage: Stage) -> None:
    stage.switch_over(to="c-2")
    stage.settle()
    assert stage.steps() == [*HANDING, *TAKING]
    assert stage.fleet.writers == ["c-2"]
    assert {name: stage.fleet[name].follows for name in ("c-0", "c-1", "c-2")} == {
        "c-0": "sim-c-2.invalid", "c-1": "sim-c-2.invalid", "c-2": "",
    }  # fmt: skip
    at_once, last = stage.said("primary.changed", "move")
    for event in (at_once, last):
        assert (event["primary_id"], event["former_id"]) == ("c-2", "c-0")
        assert event["endpoint"]["primary"]["host"] == "sim-c-2.invalid"
        assert [one["host"] for one in event["endpoint"]["replicas"]] == ["sim-c-0.invalid", "sim-c-1.invalid"]
    ended = stage.ended()
    assert (ended["status"], ended["problem"]) == ("succeeded", None)
    assert ended["result"]["primary"] == {"id": "c-2", "name": "c-2"}
    evidence = ended["result"]["evidence"]
    assert {name: one["name"] for name, one in evidence["check"].items()} == {"c-0": "c-0", "c-1": "c-1", "c-2": "c-2"}
    assert evidence["catch_up"]["c-0"]["writable"] is False
    assert evidence["catch_up"]["c-2"]["received"] == evidence["catch_up"]["c-0"]["received"] == 1000
    assert stage.cluster().primary_id == "c-2"
    assert set(stage.statuses().values()) == {"ready"}
    assert stage.said("operation.begun") == []


def test_whoever_has_received_most_takes_over_where_nobody_is_named(stage: Stage) -> None:
    stage.fleet["c-1"].stuck, stage.fleet["c-1"].received = True, 900
    stage.switch_over()
    stage.settle()
    assert stage.fleet.writers == ["c-2"]


@ON_SQLITE
def test_a_replica_that_does_not_catch_up_leaves_the_writes_where_they_were(stage: Stage) -> None:
    stage.fleet["c-1"].stuck, stage.fleet["c-1"].received = True, 900
    stage.switch_over(to="c-1")
    stage.settle()
    ended = stage.ended()
    assert ended["status"] == "failed"
    assert "c-1 is at 0/900, c-0 at 0/1000" in ended["problem"]["message"]
    assert FROZEN in stage.fleet["c-0"].told
    assert "undo freeze" in stage.steps()
    assert stage.fleet.writers == ["c-0"]
    assert stage.said("primary.changed") == []
    # It goes on from the first step, once the replica does.
    stage.fleet["c-1"].stuck = False
    stage.retry()
    stage.settle()
    assert stage.fleet.writers == ["c-1"]
    assert [one["status"] for one in stage.said("operation.ended", "move")] == ["failed", "succeeded"]


def test_a_primary_that_goes_away_frozen_is_thawed_once_it_answers_again(stage: Stage) -> None:
    stage.fleet["c-1"].stuck, stage.fleet["c-1"].received = True, 900
    stage.switch_over(to="c-1")
    stage.fleet.meanwhile["see where it was frozen"] = lambda: dead(stage)
    stage.settle(60)
    assert stage.said("operation.ended", "move") == []
    stage.fleet["c-0"].reachable = True
    stage.settle()
    assert stage.fleet.writers == ["c-0"]
    assert stage.ended()["status"] == "failed"


def test_a_primary_that_stays_away_frozen_is_let_go_of_so_that_it_can_be_replaced(stage: Stage) -> None:
    stage.fleet["c-1"].stuck, stage.fleet["c-1"].received = True, 900
    stage.switch_over(to="c-1")
    stage.fleet.meanwhile["see where it was frozen"] = lambda: dead(stage)
    stage.settle()
    assert stage.ended()["status"] == "failed"
    assert "freeze could not be undone" in stage.ended()["problem"]["message"]
    assert not stage.under_way()
    stage.fail_over("next")
    stage.settle()
    assert [one["instance_id"] for one in stage.said("node.fence_requested", "next")] == ["c-0"]


def test_a_cancel_before_the_promotion_has_the_primary_take_writes_again(stage: Stage) -> None:
    stage.fleet["c-1"].stuck, stage.fleet["c-1"].received = True, 900
    stage.switch_over(to="c-1")
    stage.settle(5)
    assert stage.fleet.writers == []
    stage.cancel()
    stage.settle()
    assert stage.fleet.writers == ["c-0"]
    assert stage.ended()["status"] == "cancelled"
    assert not stage.under_way()
    assert stage.cluster().primary_id == "c-0"


def test_a_cancel_after_the_proof_changes_nothing(stage: Stage) -> None:
    stage.fleet.meanwhile["take writes"] = stage.cancel
    stage.switch_over(to="c-1")
    stage.settle()
    assert stage.fleet.meanwhile == {}
    assert stage.fleet.writers == ["c-1"]
    assert stage.ended()["status"] == "succeeded"


@ON_SQLITE
def test_a_second_takeover_is_refused_while_one_is_under_way(stage: Stage) -> None:
    stage.fleet["c-1"].stuck, stage.fleet["c-1"].received = True, 900
    stage.switch_over(to="c-1")
    stage.settle(5)
    stage.switch_over("other")
    stage.fail_over("third")
    for operation in ("other", "third"):
        refused = stage.ended(operation)
        assert refused["status"] == "failed"
        assert "about to become the primary" in refused["problem"]["message"]
    stage.settle()
    assert stage.fleet.writers == ["c-0"]


def test_a_wish_for_a_cluster_that_is_unknown_is_asked_for_again(database: Database) -> None:
    stage = Stage(database)
    with pytest.raises(AssertionError):
        stage.switch_over()
    stage.serve()
    stage.switch_over()
    stage.settle()
    assert stage.ended()["status"] == "succeeded"


def test_a_failover_is_refused_while_a_replica_receives_from_the_primary(stage: Stage) -> None:
    stage.fleet["c-2"].deaf = "sim-c-0.invalid"
    stage.fail_over()
    stage.settle()
    ended = stage.ended()
    assert ended["status"] == "failed"
    assert "c-1 still receives from c-0: it lives, and is not replaced" in ended["problem"]["message"]
    assert stage.said("node.fence_requested") == []
    assert stage.fleet.writers == ["c-0"]


def test_nothing_is_promoted_before_the_provider_says_that_the_primary_is_off(stage: Stage) -> None:
    for name in ("c-1", "c-2"):
        stage.fleet[name].deaf = "sim-c-0.invalid"
    stage.fleet["c-1"].stuck, stage.fleet["c-1"].received = True, 900
    stage.fail_over()
    stage.settle()
    (asked,) = stage.said("node.fence_requested")
    assert (asked["instance_id"], asked["cluster_id"], asked["operation_id"], asked["project_id"]) == (
        "c-0", "c", "move", "p",
    )  # fmt: skip
    # The primary runs, and takes writes: nobody else does.
    assert stage.fleet.writers == ["c-0"]
    assert stage.steps() == ["prove"]
    assert stage.said("operation.ended", "move") == []
    stage.fenced()
    stage.settle()
    assert stage.fleet.writers == ["c-2"]
    assert stage.steps() == ["prove", *TAKING]
    ended = stage.ended()
    assert ended["status"] == "succeeded"
    assert ended["result"]["evidence"]["fence"] == {"instance": "c-0", "provider": "SHUTOFF"}
    assert ended["result"]["evidence"]["choose"]["c-2"]["received"] == 1000
    assert set(ended["result"]["evidence"]["prove"]) == {"c-1", "c-2"}
    for event in stage.said("primary.changed", "move"):
        assert event["endpoint"]["primary"]["host"] == "sim-c-2.invalid"
        assert [one["host"] for one in event["endpoint"]["replicas"]] == ["sim-c-1.invalid"]


def test_a_server_that_could_not_be_switched_off_ends_it_and_a_retry_asks_for_the_fence_anew(stage: Stage) -> None:
    dead(stage)
    stage.fail_over()
    stage.settle()
    stage.power_failed()
    ended = stage.ended()
    assert (ended["status"], ended["problem"]["message"]) == (
        "failed", "the server is not fenced: the provider says ACTIVE",
    )  # fmt: skip
    assert "prove" in ended["result"]["evidence"]
    assert not stage.under_way()
    # Whoever switches it off later promotes nobody.
    stage.fenced()
    stage.settle()
    assert stage.fleet.writers == []
    stage.retry()
    stage.settle()
    assert [one["operation_id"] for one in stage.said("node.fence_requested")] == ["move", "move"]
    stage.fenced()
    stage.settle()
    assert stage.fleet.writers == ["c-1"]
    assert [one["status"] for one in stage.said("operation.ended", "move")] == ["failed", "succeeded"]


def test_a_former_primary_comes_back_as_a_replica_by_an_operation_of_its_own(stage: Stage) -> None:
    failed_over(stage)
    assert stage.statuses() == {"c-0": "apart", "c-1": "ready", "c-2": "ready"}
    (begun,) = stage.said("operation.begun")
    assert (begun["kind"], begun["cluster_id"], begun["project_id"]) == ("rejoin_node", "c", "p")
    back = begun["operation_id"]
    (asked,) = stage.said("node.power_requested")
    assert (asked["instance_id"], asked["operation_id"]) == ("c-0", back)
    assert stage.steps(back) == []
    stage.powered(back)
    before = len(stage.fleet["c-0"].told)
    stage.settle()
    assert stage.steps(back) == ["reset", "admit", "copy", "join", "follow", "protect"]
    assert stage.fleet["c-0"].told[before] == "mark its data as no copy"
    assert "copy the data of c-1" in stage.fleet["c-0"].told
    assert stage.fleet.writers == ["c-1"]
    assert stage.fleet["c-0"].follows == "sim-c-1.invalid"
    assert stage.statuses()["c-0"] == "ready"
    assert [one["instance_id"] for one in stage.said("node.ready", back)] == ["c-0"]
    (active,) = stage.said("cluster.active", back)
    assert active["primary_id"] == "c-1"
    assert {one["host"] for one in active["endpoint"]["replicas"]} == {"sim-c-0.invalid", "sim-c-2.invalid"}


def test_a_server_that_could_not_be_switched_on_ends_the_return_and_a_retry_asks_anew(stage: Stage) -> None:
    failed_over(stage)
    back = stage.said("operation.begun")[0]["operation_id"]
    stage.power_failed(back, wanted="on")
    (failed,) = stage.said("nodes.failed")
    assert failed["operation_id"] == back
    assert stage.cluster().status == ClusterStatus.ACTIVE
    stage.retry(back)
    assert [one["operation_id"] for one in stage.said("node.power_requested")] == [back, back]
    stage.powered(back)
    stage.settle()
    assert stage.statuses()["c-0"] == "ready"


def test_a_replica_that_cannot_be_asked_meanwhile_is_apart_and_comes_back_by_itself(stage: Stage) -> None:
    stage.fleet.meanwhile["take writes"] = lambda: dead(stage, "c-2")
    stage.switch_over(to="c-1")
    stage.settle(120)
    ended = stage.ended()
    assert ended["status"] == "succeeded"
    assert "does not answer" in ended["result"]["evidence"]["rewire"]["c-2"]["trouble"]
    assert stage.statuses() == {"c-0": "ready", "c-1": "ready", "c-2": "apart"}
    (last,) = [one for one in stage.said("primary.changed") if len(one["endpoint"]["replicas"]) == 1]
    assert last["endpoint"]["replicas"][0]["host"] == "sim-c-0.invalid"
    (begun,) = stage.said("operation.begun")
    assert begun["kind"] == "rejoin_node"
    assert stage.said("node.power_requested") == []
    stage.fleet["c-2"].reachable = True
    stage.settle()
    assert stage.steps(begun["operation_id"])[0] == "reset"
    assert set(stage.statuses().values()) == {"ready"}
    assert stage.fleet["c-2"].follows == "sim-c-1.invalid"


@ON_SQLITE
def test_a_replica_that_does_not_follow_the_new_primary_is_not_waited_for_for_ever(stage: Stage) -> None:
    stage.fleet.meanwhile["take writes"] = lambda: setattr(stage.fleet["c-2"], "deaf", "sim-c-1.invalid")
    stage.switch_over(to="c-1")
    stage.settle(62)
    assert stage.ended()["status"] == "succeeded"
    assert stage.statuses()["c-2"] == "apart"


@pytest.mark.parametrize("asked", ["switchover", "failover"])
def test_a_cluster_that_is_deleted_while_a_takeover_is_proven_goes_whole(stage: Stage, asked: str) -> None:
    if asked == "switchover":
        stage.fleet["c-1"].stuck, stage.fleet["c-1"].received = True, 900
        stage.switch_over(to="c-1")
        stage.settle(5)
    else:
        stage.fail_over()
        stage.settle(2)
    deleted(stage)
    assert stage.ended()["status"] == "cancelled"
    assert stage.said("primary.changed") == stage.said("node.fence_requested") == []


def test_a_cluster_that_is_deleted_while_its_primary_is_switched_off_goes_whole(stage: Stage) -> None:
    dead(stage)
    stage.fail_over()
    stage.settle()
    actions.release_cluster(stage.database, goodbye(nodes=3))
    stage.fenced()
    stage.settle()
    deleted(stage, asked=True)
    assert stage.said("primary.changed") == []
    assert stage.fleet.writers == []


@pytest.mark.parametrize("title", ["take writes", "read whom to follow"])
def test_a_cluster_that_is_deleted_in_the_second_half_goes_whole(stage: Stage, title: str) -> None:
    stage.fleet.meanwhile[title] = lambda: actions.release_cluster(stage.database, goodbye(nodes=3))
    stage.switch_over(to="c-1")
    stage.settle()
    deleted(stage, asked=True)
    assert stage.said("operation.begun") == []


def test_a_cluster_that_is_deleted_while_a_node_returns_goes_whole(stage: Stage) -> None:
    failed_over(stage)
    back = stage.said("operation.begun")[0]["operation_id"]
    actions.release_cluster(stage.database, goodbye(nodes=3))
    stage.powered(back)
    assert stage.engine.take() is None, "nothing is begun on a cluster that goes"
    deleted(stage, asked=True)
    assert stage.said("node.ready", back) == []


def deleted(stage: Stage, *, asked: bool = False) -> None:
    """Delete the cluster, where that was not asked for yet, and see that nothing is left."""
    if not asked:
        actions.release_cluster(stage.database, goodbye(nodes=3))
        stage.settle()
    for number in range(3):
        dead(stage, f"c-{number}")
        assert actions.forget_instance(stage.database, gone(f"c-{number}"))
    stage.settle()
    assert stage.cluster().status == ClusterStatus.DELETED
    assert not stage.under_way()
    assert stage.engine.run_due() is None


@ON_SQLITE
def test_a_failover_that_finds_nobody_to_promote_is_over_so_that_another_may_begin(stage: Stage) -> None:
    for name in ("c-1", "c-2"):
        stage.fleet[name].deaf = "sim-c-0.invalid"
    stage.fail_over()
    stage.settle()
    for name in ("c-1", "c-2"):
        dead(stage, name)
    stage.fenced()
    stage.settle()
    assert stage.ended()["status"] == "failed"
    assert "nobody can take over" in stage.ended()["problem"]["message"]
    assert not stage.under_way()
    for name in ("c-1", "c-2"):
        stage.fleet[name].reachable = stage.fleet[name].runs = True
    stage.fail_over("again")
    stage.settle()
    stage.fenced("again")
    stage.settle()
    assert stage.ended("again")["status"] == "succeeded"
    assert stage.fleet.writers == ["c-1"]


def test_a_fence_that_comes_after_the_end_promotes_nobody(stage: Stage) -> None:
    stage.fail_over()
    stage.settle()
    assert stage.ended()["status"] == "failed"
    stage.fenced()
    stage.settle()
    assert stage.fleet.writers == []
    assert stage.takeover().state == State.ENDED


def test_what_is_delivered_twice_happens_once(stage: Stage) -> None:
    dead(stage)
    wished = stage.fail_over()
    stage.settle()
    assert actions.request_failover(stage.database, wished)
    stage.settle()
    assert len(stage.said("node.fence_requested")) == 1
    off = stage.fenced()
    actions.take_over(stage.database, off)
    stage.settle()
    actions.take_over(stage.database, off)
    stage.settle()
    back = stage.said("operation.begun")[0]["operation_id"]
    on = stage.powered(back)
    actions.take_back(stage.database, on)
    stage.settle()
    actions.take_back(stage.database, on)
    stage.settle()
    assert stage.ended()["status"] == "succeeded"
    assert stage.steps() == ["prove", *TAKING]
    assert stage.steps(back) == ["reset", "admit", "copy", "join", "follow", "protect"]
    assert len(stage.said("operation.begun")) == len(stage.said("node.power_requested")) == 1


@ON_SQLITE
def test_a_refusal_is_said_once_however_often_the_wish_is_delivered(stage: Stage) -> None:
    stage.fleet["c-1"].stuck, stage.fleet["c-1"].received = True, 900
    stage.switch_over(to="c-1")
    stage.settle(5)
    second = stage.switch_over("other")
    assert actions.request_switchover(stage.database, second)
    assert stage.ended("other")["status"] == "failed"


def test_in_synchronous_mode_a_silent_replica_is_waited_for_unless_loss_is_accepted(database: Database) -> None:
    stage = Stage(database).serve(mode="sync")
    for name in ("c-0", "c-2"):
        dead(stage, name)
    stage.fail_over()
    stage.settle()
    assert "may be with c-2" in stage.ended()["problem"]["message"]
    assert stage.said("node.fence_requested") == []
    stage.fail_over("anyway", accept_loss=True)
    stage.settle()
    stage.fenced("anyway")
    stage.settle(300)
    assert stage.fleet.writers == ["c-1"]
    assert stage.ended("anyway")["status"] == "succeeded"


def test_a_service_that_dies_in_the_second_half_goes_on_to_the_new_primary(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise SystemError

    with monkeypatch.context() as patched:
        patched.setattr(StreamingReplication, "follow", dies)
        stage.switch_over(to="c-1")
        stage.settle(5)
    assert stage.fleet.writers == ["c-1"]
    assert stage.said("operation.ended", "move") == []
    stage.settle()
    assert stage.ended()["status"] == "succeeded"
    assert stage.fleet["c-2"].follows == "sim-c-1.invalid"


def test_a_return_that_is_cancelled_ends_and_its_node_stays_apart(stage: Stage) -> None:
    failed_over(stage)
    back = stage.said("operation.begun")[0]["operation_id"]
    stage.powered(back)
    stage.fleet.meanwhile["copy the data of c-1"] = lambda: stage.cancel(back)
    stage.settle()
    ended = stage.ended(back)
    assert ended["status"] == "cancelled"
    assert "c-0 is apart" in ended["problem"]["message"]
    assert stage.statuses()["c-0"] == "apart"
    assert stage.fleet.writers == ["c-1"]


def test_a_return_that_is_cancelled_before_its_server_runs_ends_as_well(stage: Stage) -> None:
    failed_over(stage)
    back = stage.said("operation.begun")[0]["operation_id"]
    stage.cancel(back)
    assert stage.ended(back)["status"] == "cancelled"
    stage.powered(back)
    stage.settle()
    assert stage.steps(back) == []
    assert stage.statuses()["c-0"] == "apart"


def test_a_return_that_comes_about_ends_also_where_a_cancel_came_too_late(stage: Stage) -> None:
    failed_over(stage)
    back = stage.said("operation.begun")[0]["operation_id"]
    stage.powered(back)
    stage.settle()
    # The API takes the word that a cluster is active for no end of what is being cancelled.
    assert stage.ended(back)["status"] == "succeeded"


def test_a_return_begins_anew_when_another_node_takes_over_meanwhile(stage: Stage) -> None:
    failed_over(stage)
    first = stage.said("operation.begun")[0]["operation_id"]
    stage.powered(first)
    # The copy is under way, of a primary that is about to hand over.
    stage.fleet.meanwhile["copy the data of c-1"] = lambda: dead(stage)
    stage.settle(30)
    stage.switch_over("next", to="c-2")
    stage.settle(30)
    assert stage.ended("next")["status"] == "succeeded"
    (second,) = [one["operation_id"] for one in stage.said("operation.begun") if one["operation_id"] != first]
    stage.fleet["c-0"].reachable = True
    stage.settle()
    assert stage.ended(first)["status"] == "cancelled"
    assert stage.ended(second)["status"] == "succeeded"
    assert stage.steps(second)[0] == "reset"
    assert stage.statuses()["c-0"] == "ready"
    assert stage.fleet["c-0"].follows == "sim-c-2.invalid"


def test_a_return_that_waits_for_its_server_goes_to_whoever_is_the_primary_then(stage: Stage) -> None:
    failed_over(stage)
    (begun,) = stage.said("operation.begun")
    stage.switch_over("next", to="c-2")
    stage.settle()
    assert stage.ended("next")["status"] == "succeeded"
    assert stage.said("operation.begun") == [begun]
    stage.powered(begun["operation_id"])
    stage.settle()
    assert stage.statuses()["c-0"] == "ready"
    assert stage.fleet["c-0"].follows == "sim-c-2.invalid"


def test_a_return_that_has_failed_is_retried(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    failed_over(stage)
    back = stage.said("operation.begun")[0]["operation_id"]

    def refused(*_: object) -> Script:
        raise Failure("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(StreamingReplication, "join", refused)
        stage.powered(back)
        stage.settle()
    (failed,) = stage.said("nodes.failed", back)
    assert failed["problem"]["message"] == "the disk is full"
    assert stage.cluster().status == ClusterStatus.ACTIVE
    stage.retry(back)
    stage.settle()
    assert stage.statuses()["c-0"] == "ready"


def test_a_cancel_at_the_very_moment_of_the_proof_leaves_no_primary_frozen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.fleet["c-1"].stuck, stage.fleet["c-1"].received = True, 900
    stage.switch_over(to="c-1")
    stage.settle(5)
    stage.fleet["c-1"].stuck = False
    stage.clock.advance(1)
    proving = threading.Thread(target=stage.engine.run_due)
    cancel = tasks.cancel

    def slowly(*arguments: Any, **options: Any) -> int:
        proving.start()
        proving.join(1.0)
        return cancel(*arguments, **options)

    monkeypatch.setattr("services.datastore_agentless.actions.requests.tasks.cancel", slowly)
    stage.cancel()
    proving.join(30)
    stage.settle()
    (writer,) = stage.fleet.writers
    assert (writer, stage.ended()["status"]) in (("c-0", "cancelled"), ("c-1", "succeeded"))
