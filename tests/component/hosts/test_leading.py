"""A cluster's own address, in datastore_agentless's tables: to whom it is to lead, who waits for that, and what is told of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.datastore_agentless import actions, planning
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.health import Verdict
from services.datastore_agentless.store import catalogue
from shared.db import Database
from tests.component.hosts.fleet import OWN, STUCK, Stage
from tests.component.hosts.test_repairing import seen, stop
from tests.component.hosts.wishes import gone, goodbye, manager_for

LEADS = "10.9.0.250:5432"


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of three nodes, which serves, and whose address leads to its primary."""
    made = Stage(database).serve(addr=OWN)
    made.moved("make-c")
    made.settle()
    return made


def asked(stage: Stage, operation: str = "") -> list[str]:
    """To whom the address was to lead, in order."""
    return [one["instance_id"] for one in stage.said("address.move_requested", operation)]


def own(endpoint: dict[str, Any]) -> str:
    """The cluster's own address in an endpoint."""
    return f"{endpoint['address']['host']}:{endpoint['address']['port']}"


def test_a_cluster_serves_once_its_address_leads_to_its_primary(database: Database) -> None:
    stage = Stage(database).serve(addr=OWN)
    assert asked(stage, "make-c") == ["c-0"]
    assert (stage.said("cluster.active"), stage.cluster().status) == ([], ClusterStatus.EXPECTED)
    stage.moved("make-c")
    (active,) = stage.said("cluster.active")
    assert own(active["endpoint"]) == LEADS
    assert active["endpoint"]["address"]["url"] == f"postgresql://dtrove@{LEADS}/postgres"
    assert "sim-c-1.invalid" in active["endpoint"]["url"]


def test_an_address_that_is_there_before_the_last_node_holds_nobody_up(database: Database) -> None:
    stage = Stage(database)
    stage.fleet.meanwhile["see whether it follows"] = lambda: stage.moved("make-c")
    stage.serve(addr=OWN)
    assert len(stage.said("cluster.active")) == 1


def test_a_cluster_whose_address_cannot_be_moved_fails_and_a_retry_asks_again(database: Database) -> None:
    stage = Stage(database).serve(addr=OWN)
    stage.move_failed("make-c")
    (failed,) = stage.said("cluster.failed")
    assert failed["problem"]["message"] == STUCK.message
    stage.retry("make-c")
    assert asked(stage) == ["c-0", "c-0"]
    stage.moved("make-c")
    assert len(stage.said("cluster.active")) == 1


def test_a_cluster_serves_though_its_address_has_overtaken_the_wish_to_try_again(database: Database) -> None:
    stage = Stage(database).serve(addr=OWN)
    stage.move_failed("make-c")
    stage.moved("make-c")
    stage.retry("make-c")
    assert (len(stage.said("cluster.active")), stage.cluster().status) == (1, ClusterStatus.ACTIVE)


def test_a_cluster_without_an_address_asks_for_nothing(database: Database) -> None:
    stage = Stage(database).serve()
    stage.switch_over(to="c-1")
    stage.settle()
    assert stage.ended()["status"] == "succeeded"
    assert asked(stage) == []
    assert all(one["endpoint"]["address"] is None for one in stage.said("primary.changed"))


def test_a_switchover_asks_at_the_promotion_and_ends_when_the_address_leads_there(stage: Stage) -> None:
    stage.switch_over(to="c-2")
    stage.settle(60)
    assert asked(stage, "move") == ["c-2"]
    at_once, last = stage.said("primary.changed", "move")
    assert own(at_once["endpoint"]) == own(last["endpoint"]) == LEADS
    assert (stage.steps()[-1], stage.said("operation.ended", "move")) == ("protect", [])
    stage.moved("move", "c-2")
    stage.settle()
    assert stage.ended()["status"] == "succeeded"
    assert stage.steps()[-1] == "address"
    assert not stage.under_way()


def test_a_failover_does_the_same_once_the_old_primary_is_off_and_then_brings_that_back(stage: Stage) -> None:
    stage.fleet["c-0"].reachable = stage.fleet["c-0"].runs = False
    stage.fail_over(to="c-1")
    stage.settle(60)
    assert asked(stage, "move") == []
    stage.fenced()
    stage.settle(60)
    assert asked(stage, "move") == ["c-1"]
    assert stage.said("node.power_requested") == []
    stage.moved("move", "c-1")
    stage.settle()
    assert stage.ended()["status"] == "succeeded"
    assert [one["instance_id"] for one in stage.said("node.power_requested")] == ["c-0"]


def test_a_word_from_before_does_not_end_a_takeover(stage: Stage) -> None:
    stage.switch_over(to="c-2")
    stage.settle(60)
    stage.moved("", "c-0")
    stage.settle(60)
    assert stage.said("operation.ended", "move") == []


def test_a_takeover_whose_address_is_stuck_fails_with_the_providers_words_and_stands_in_nobodys_way(
    stage: Stage,
) -> None:
    stage.fleet["c-0"].reachable = stage.fleet["c-0"].runs = False
    stage.fail_over(to="c-1")
    stage.settle(60)
    stage.fenced()
    stage.move_failed("move", "c-1")
    stage.settle()
    ended = stage.ended()
    assert (ended["status"], ended["problem"]["message"]) == ("failed", STUCK.message)
    assert ended["problem"]["what_to_do"] == STUCK.what_to_do
    assert (stage.cluster().primary_id, stage.fleet.writers) == ("c-1", ["c-1"])
    assert [one["instance_id"] for one in stage.said("node.power_requested")] == ["c-0"]
    assert not stage.under_way()
    stage.retry()
    stage.settle(60)
    assert asked(stage, "move") == ["c-1", "c-1"]
    stage.moved("move", "c-1")
    stage.settle()
    assert [one["status"] for one in stage.said("operation.ended", "move")] == ["failed", "succeeded"]
    assert len(stage.said("node.power_requested")) == 1


def test_a_failure_that_is_told_in_the_middle_of_the_rewiring_is_not_forgotten(stage: Stage) -> None:
    stage.fleet.meanwhile["write whom to follow"] = lambda: stage.move_failed("move", "c-2")
    stage.switch_over(to="c-2")
    stage.settle(60)
    assert stage.ended()["status"] == "failed"
    assert set(stage.ended()["result"]["evidence"]) >= {"catch_up", "rewire", "address"}


def test_an_engine_that_is_started_again_asks_where_it_leads_and_a_replicas_does_not(stage: Stage) -> None:
    for node, wanted in (("c-2", []), ("c-0", ["c-0"])):
        stop(stage, node)
        seen(stage, node, Verdict.DB_DOWN, since=stage.clock.now() - timedelta(seconds=1))
        stage.settle()
        assert asked(stage)[1:] == wanted


def test_the_providers_doing_is_in_the_transcript(stage: Stage) -> None:
    stage.switch_over(to="c-2")
    stage.settle(60)
    stage.moved("move", "c-2")
    told = [entry for one in stage.said("transcript.recorded", "move") for entry in one["entries"]]
    assert (told[-1]["host"], told[-1]["command"]) == ("c-2", f"the provider: lead {OWN} to sim-c-2.invalid")
    numbers = [one["sequence"] for one in told]
    assert len(set(numbers)) == len(numbers)


def test_a_cluster_that_goes_hears_nothing_more(stage: Stage) -> None:
    actions.release_cluster(stage.database, goodbye(nodes=3))
    stage.moved("late", "c-1")
    stage.move_failed("late")
    for number in range(3):
        actions.forget_instance(stage.database, gone(f"c-{number}"))
    assert stage.cluster().status == ClusterStatus.DELETED
    assert stage.cluster().addr_leads_to == "c-0"


def test_plans_say_where_the_address_goes(stage: Stage) -> None:
    cluster, nodes = stage.cluster(), [stage.instance(f"c-{number}") for number in range(3)]
    with stage.database.read() as connection:
        manager = manager_for(catalogue.datastore(connection, cluster.datastore_id))
    for fenced in (False, True):
        plan = planning.plan_takeover(manager, cluster, nodes, "c-2", fenced=fenced)
        assert plan["moves"] == [f"address {OWN}: from c-0 to c-2"]
    rolled = planning.plan_roll(manager, cluster, nodes, "restart", "")
    assert rolled["moves"] == [f"address {OWN}: from c-0 to c-1"]
    made = planning.plan_create(manager, ["c-0", "c-1"], 512, 1, 0, "async", addressed=True)
    assert made["moves"] == ["an address of the cluster's own, given by the provider: to c-0"]
    (file,) = [one for one in made["hosts"][0]["files"] if one["path"].endswith("dtrove.conf")]
    assert "listen_addresses = '192.0.2.1,192.0.2.254,127.0.0.1'" in file["diff"]
