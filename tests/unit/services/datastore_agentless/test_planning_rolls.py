"""What starting, stopping and restarting a cluster is shown to do."""

from __future__ import annotations

from typing import Any

import pytest

from services.datastore_agentless.datastores import load_manager
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.planning import plan_roll
from services.datastore_agentless.settings import BUILT_IN
from shared.errors import Failure


def planned(action: str, nodes: int = 3, only_id: str = "") -> dict[str, Any]:
    manager = load_manager("redis", Datastore("d", "redis", "redis", "7.0", "debian-12", ["redis-server"]), BUILT_IN)
    there = [Instance(f"n-{n}", "c", f"shop-{n}", addr=f"10.0.0.{n}", status=Status.READY) for n in range(1, nodes + 1)]
    return plan_roll(
        manager, Cluster("c", "p", "o", "shop", "d", nodes, 512, 1, primary_id="n-1"), there, action, only_id
    )


def titles(plan: dict[str, Any]) -> dict[str, list[str]]:
    return {host["host"]: [one["title"] for one in host["commands"]] for host in plan["hosts"]}


def test_a_restart_is_shown_with_the_replicas_first_and_the_switchover_before_the_primary_s_turn() -> None:
    plan = planned("restart")
    assert plan["restarts"] == ["redis on shop-2", "redis on shop-3", "redis on shop-1"]
    shown = titles(plan)
    assert list(shown) == ["shop-2", "shop-3", "shop-1"]
    assert shown["shop-2"][0] == "stop redis-server"
    assert shown["shop-2"].index("start redis-server") < shown["shop-2"].index("follow nobody")
    assert shown["shop-1"].index("refuse writes") < shown["shop-1"].index("stop redis-server")


def test_one_node_is_shown_restarted_with_nobody_taking_over() -> None:
    for plan in (planned("restart", only_id="n-1"), planned("restart", nodes=1)):
        assert list(titles(plan)) == ["shop-1"]
        assert "refuse writes" not in titles(plan)["shop-1"]


def test_a_stop_and_a_start_are_shown_in_opposite_orders_and_with_what_happens_at_boot() -> None:
    assert list(titles(planned("stop"))) == ["shop-2", "shop-3", "shop-1"]
    assert titles(planned("stop"))["shop-1"][:2] == ["leave redis-server alone at boot", "stop redis-server"]
    assert list(titles(planned("start"))) == ["shop-1", "shop-2", "shop-3"]
    assert not any("boot" in title for title in titles(planned("start"))["shop-1"])
    assert titles(planned("start", nodes=1))["shop-1"][-1] == "start redis-server at boot"


def test_a_node_that_is_not_there_is_refused() -> None:
    with pytest.raises(Failure, match="no such node"):
        planned("restart", only_id="nobody")
