"""What DTrove begins by itself about nodes that are not well, in its own tables, on both engines."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from services.datastore_agentless.actions.repairing import consider
from services.datastore_agentless.domain.health import Verdict
from services.datastore_agentless.domain.record import Record
from services.datastore_agentless.store import clusters
from shared.db import Database
from tests.component.hosts.fleet import Stage, kinds
from tests.component.hosts.wishes import at_once


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of three nodes, which serves."""
    return Stage(database).serve()


def seen(stage: Stage, node: str, verdict: Verdict, since: datetime | None = None, suspicion: str = "",
         **facts: str) -> None:  # fmt: skip
    """Once more the watch sees what is wrong with a node."""
    now = stage.clock.now()
    record = Record(instance_id=node, cluster_id="c", verdict=verdict, message=f"{node} is {verdict}", since=since or now,
                    seen_at=now, suspicion=suspicion, facts=facts)  # fmt: skip
    with stage.database.write() as tx:
        clusters.lock(tx, "c")
        consider(tx, "c", {node: record})


def stop(stage: Stage, node: str, *, starts: bool = True) -> None:
    """Its engine is down, and its host is well."""
    stage.fleet[node].runs, stage.fleet[node].starts = False, starts


def set_failover(stage: Stage, policy: str) -> None:
    with stage.database.write() as tx:
        cluster = clusters.cluster(tx.connection, "c")
        cluster.failover = policy
        clusters.save_cluster(tx, cluster)


@pytest.mark.parametrize("node", ["c-0", "c-2"])
def test_an_engine_that_is_down_is_started(stage: Stage, node: str) -> None:
    stop(stage, node)
    seen(stage, node, Verdict.DB_DOWN)
    stage.settle()
    (begun,) = stage.said("operation.begun")
    assert (begun["kind"], begun["message"], begun["project_id"]) == ("start_node", f"{node} is DB_DOWN", "p")
    assert stage.ended(begun["operation_id"])["status"] == "succeeded"
    assert stage.fleet[node].runs
    assert stage.fleet.writers == ["c-0"]


def test_a_primary_that_was_left_frozen_takes_writes_again(stage: Stage) -> None:
    stage.fleet["c-0"].standby = True
    seen(stage, "c-0", Verdict.REPLICATION_BROKEN, writable="no")
    stage.settle()
    (begun,) = stage.said("operation.begun")
    assert stage.ended(begun["operation_id"])["status"] == "succeeded"
    assert stage.fleet.writers == ["c-0"]


def test_an_engine_that_stays_down_is_started_ever_less_often(stage: Stage) -> None:
    stop(stage, "c-2", starts=False)
    began, tried = stage.clock.now(), []
    for second in range(0, 16 * 60, 10):
        seen(stage, "c-2", Verdict.DB_DOWN, since=began)
        if len(stage.said("operation.begun")) > len(tried):
            tried.append(second / 60)
        stage.settle(0.1)
        stage.clock.advance((began + timedelta(seconds=second + 10) - stage.clock.now()).total_seconds())
    assert tried == [0, 1, 3, 7, 15]
    assert [one["status"] for one in stage.said("operation.ended")] == ["failed"] * 5
    assert kinds(stage.said("operation.begun")) == ["start_node"] * 5
    # Another incident is another matter.
    seen(stage, "c-2", Verdict.DB_DOWN)
    assert len(stage.said("operation.begun")) == 6


@pytest.mark.parametrize(("policy", "begun"), [("automatic", ["start_node", "failover"]), ("manual", ["start_node"])])
def test_a_primary_that_does_not_start_is_replaced_where_nobody_wants_to_be_asked(
    stage: Stage, policy: str, begun: list[str]
) -> None:
    set_failover(stage, policy)
    stop(stage, "c-0", starts=False)
    seen(stage, "c-0", Verdict.DB_DOWN)
    stage.settle()
    assert kinds(stage.said("operation.begun")) == begun
    start, *others = stage.said("operation.begun")
    assert stage.ended(start["operation_id"])["status"] == "failed"
    asked = stage.said("node.fence_requested")
    assert [one["operation_id"] for one in asked] == [one["operation_id"] for one in others]
    if others:
        assert "does not start" in others[0]["message"]
        stage.fenced(others[0]["operation_id"])
        stage.settle(60)
        assert stage.fleet.writers == ["c-1"]


def test_a_replica_that_does_not_start_replaces_nobody(stage: Stage) -> None:
    stop(stage, "c-1", starts=False)
    seen(stage, "c-1", Verdict.DB_DOWN)
    stage.settle()
    assert kinds(stage.said("operation.begun")) == ["start_node"]
    assert not stage.under_way()


def test_a_node_that_is_alone_is_started_and_not_failed_over(database: Database) -> None:
    stage = Stage(database).serve(nodes=1)
    stop(stage, "c-0", starts=False)
    seen(stage, "c-0", Verdict.DB_DOWN)
    seen(stage, "c-0", Verdict.HOST_DOWN)
    stage.settle()
    assert kinds(stage.said("operation.begun")) == ["start_node"]
    assert not stage.under_way()


def test_a_dead_primary_is_failed_over_once_however_many_workers_think_of_it(stage: Stage) -> None:
    stage.fleet["c-0"].reachable = stage.fleet["c-0"].runs = False
    began = stage.clock.now()
    at_once(*[lambda: seen(stage, "c-0", Verdict.HOST_DOWN, since=began)] * 4)
    seen(stage, "c-0", Verdict.HOST_DOWN, since=began)
    stage.settle()
    (begun,) = stage.said("operation.begun")
    assert (begun["kind"], begun["message"]) == ("failover", "c-0 is HOST_DOWN")
    assert len(stage.said("node.fence_requested")) == 1
    stage.fenced(begun["operation_id"])
    stage.settle(60)
    assert stage.ended(begun["operation_id"])["status"] == "succeeded"
    assert stage.fleet.writers == ["c-1"]


def test_a_failover_that_was_of_no_use_is_tried_again_ever_less_often(stage: Stage) -> None:
    stage.fleet["c-0"].reachable = stage.fleet["c-0"].runs = False
    began, tried = stage.clock.now(), []
    for second in range(0, 8 * 60, 10):
        seen(stage, "c-0", Verdict.HOST_DOWN, since=began)
        if len(stage.said("operation.begun")) > len(tried):
            tried.append(second / 60)
            stage.settle(5)
            stage.power_failed(stage.said("operation.begun")[-1]["operation_id"])
        stage.clock.advance((began + timedelta(seconds=second + 10) - stage.clock.now()).total_seconds())
    assert tried == [0, 1, 3, 7]
    assert len({one["operation_id"] for one in stage.said("operation.begun")}) == 4


@pytest.mark.parametrize("verdict", [Verdict.NET_SPLIT, Verdict.SSH_DOWN_DB_UP, Verdict.IDENTITY_MISMATCH,
                                     Verdict.DISK_FULL, Verdict.REPLICATION_BROKEN, Verdict.LAGGING, Verdict.OK])  # fmt: skip
def test_nothing_is_begun_about_what_only_somebody_who_looks_can_mend(stage: Stage, verdict: Verdict) -> None:
    for node in ("c-0", "c-1"):
        seen(stage, node, verdict)
    assert stage.said("operation.begun") == []


def test_a_dead_replica_begins_nothing(stage: Stage) -> None:
    seen(stage, "c-1", Verdict.HOST_DOWN)
    assert stage.said("operation.begun") == []


def test_a_primary_is_not_replaced_unasked_where_somebody_wants_to_be_asked(stage: Stage) -> None:
    set_failover(stage, "manual")
    seen(stage, "c-0", Verdict.HOST_DOWN)
    assert stage.said("operation.begun") == []


def test_what_was_seen_once_begins_nothing(stage: Stage) -> None:
    seen(stage, "c-0", Verdict.OK, suspicion=Verdict.HOST_DOWN)
    seen(stage, "c-0", Verdict.DB_DOWN, suspicion=Verdict.HOST_DOWN)
    assert stage.said("operation.begun") == []


def test_nothing_is_begun_in_the_middle_of_a_takeover(stage: Stage) -> None:
    stage.fleet["c-1"].stuck, stage.fleet["c-1"].received = True, 900
    stage.switch_over(to="c-1")
    stage.settle(5)
    assert stage.fleet.writers == []
    seen(stage, "c-0", Verdict.DB_DOWN)
    seen(stage, "c-0", Verdict.HOST_DOWN)
    assert stage.said("operation.begun") == []


def test_a_start_that_is_filed_already_does_not_start_what_a_takeover_has_stopped(stage: Stage) -> None:
    stop(stage, "c-0")
    seen(stage, "c-0", Verdict.DB_DOWN)
    stage.fail_over()
    stage.settle()
    (begun,) = stage.said("operation.begun")
    assert stage.ended(begun["operation_id"])["status"] == "cancelled"
    assert not stage.fleet["c-0"].runs


def test_a_node_that_is_apart_is_not_started(stage: Stage) -> None:
    stage.fleet["c-0"].reachable = stage.fleet["c-0"].runs = False
    stage.fail_over()
    stage.settle()
    stage.fenced()
    stage.settle()
    begun = stage.said("operation.begun")
    seen(stage, "c-0", Verdict.DB_DOWN)
    seen(stage, "c-0", Verdict.HOST_DOWN)
    assert stage.said("operation.begun") == begun


def test_a_cluster_that_goes_is_not_mended(stage: Stage) -> None:
    with stage.database.write() as tx:
        cluster = clusters.cluster(tx.connection, "c")
        cluster.become(type(cluster.status).DELETING)
        clusters.save_cluster(tx, cluster)
    seen(stage, "c-0", Verdict.DB_DOWN)
    assert stage.said("operation.begun") == []
