"""How nodes are, as the API hears it and shows it: the newest word of each counts, whatever order the words come in."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from services.api.actions import health
from shared.clock import ManualClock
from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.contracts.base import Event
from shared.contracts.values import NodeHealth
from tests.component.api.test_scaling import add, endpoint, nodes, serves
from tests.support.api import Api

START = ManualClock().now()


@pytest.fixture
def clock(api: Api) -> ManualClock:
    api.database.clock = ManualClock()
    return api.database.clock


@pytest.fixture
def shop(api: Api, clock: ManualClock) -> str:
    """A cluster of two nodes that serves."""
    cluster, operation = api.create(size=2)
    serves(api, cluster, operation, *nodes(api, cluster).values())
    return cluster


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def seen(api: Api, cluster: str, seconds: float, **verdicts: str) -> databases.HealthSeen:
    """The nodes of a cluster by the end of their names, as in n1, as they were so many seconds after the start."""
    ids = {name.rpartition("-")[2]: one for name, one in nodes(api, cluster).items()}
    found = tuple(
        NodeHealth(instance_id=ids[name[1:]], cluster_id=cluster, verdict=verdict, message=f"{name} is {verdict}",
                   seen_at=at(seconds).isoformat(), since=at(seconds).isoformat(), evidence={"ssh": "answers"},
                   facts={"role": "primary", "lag_seconds": None, "load": 0.5})
        for name, verdict in verdicts.items()
    )  # fmt: skip
    return databases.HealthSeen(nodes=found, occurred_at=at(seconds))


def degraded(api: Api, cluster: str, seconds: float, node: str, verdict: str) -> databases.ClusterDegraded:
    (one,) = seen(api, cluster, seconds, **{node: verdict}).nodes
    return databases.ClusterDegraded(cluster_id=cluster, instance_id=one.instance_id, verdict=verdict, message=one.message,
                                     occurred_at=at(seconds))  # fmt: skip


def recovered(cluster: str, seconds: float) -> databases.ClusterRecovered:
    return databases.ClusterRecovered(cluster_id=cluster, occurred_at=at(seconds))


def status(api: Api, cluster: str) -> tuple[str, str]:
    shown = api.get(f"/v1/clusters/{cluster}")
    return shown["status"], shown["message"]


def test_a_cluster_of_which_nothing_was_seen_shows_no_health(api: Api, shop: str) -> None:
    assert api.get(f"/v1/clusters/{shop}")["health"] is None
    assert api.get(f"/v1/clusters/{shop}/health") == {"health": None, "archive": None, "history": []}


def test_a_cluster_shows_its_worst_node_and_how_old_the_oldest_look_is(api: Api, shop: str, clock: ManualClock) -> None:
    api.hear(seen(api, shop, 1, n1="OK"), seen(api, shop, 4, n2="LAGGING"))
    clock.advance(6.5)
    found = api.get(f"/v1/clusters/{shop}")["health"]
    assert (found["verdict"], found["message"], found["age_seconds"]) == ("LAGGING", "n2 is LAGGING", 5.5)
    assert found["seen_at"] == "2026-01-01T00:00:01.000000Z"
    assert [(one["name"], one["role"], one["verdict"], one["age_seconds"]) for one in found["nodes"]] == [
        ("shop-1", "primary", "OK", 5.5),
        ("shop-2", "replica", "LAGGING", 2.5),
    ]
    assert found["nodes"][1]["evidence"] == {"ssh": "answers"}
    assert found["nodes"][1]["facts"] == {"role": "primary", "lag_seconds": None, "load": 0.5}


def test_the_list_of_clusters_has_no_health(api: Api, shop: str) -> None:
    api.hear(seen(api, shop, 1, n1="OK", n2="OK"))
    (listed,) = api.get("/v1/clusters")["clusters"]
    assert "health" not in listed


def test_an_older_word_changes_nothing(api: Api, shop: str) -> None:
    api.hear(seen(api, shop, 5, n1="OK", n2="OK"), seen(api, shop, 3, n1="DB_DOWN"))
    assert status(api, shop) == ("active", "")
    assert [one["verdict"] for one in api.get(f"/v1/clusters/{shop}/health")["history"]] == ["OK", "OK"]


def test_a_cluster_is_degraded_while_a_node_is_not_well_and_says_why(api: Api, shop: str) -> None:
    api.hear(seen(api, shop, 1, n1="OK", n2="OK"), degraded(api, shop, 2, "n2", "DB_DOWN"))
    assert status(api, shop) == ("degraded", "n2 is DB_DOWN")
    api.hear(seen(api, shop, 2, n2="DB_DOWN"), degraded(api, shop, 3, "n1", "HOST_DOWN"))
    assert status(api, shop) == ("degraded", "n1 is HOST_DOWN")
    api.hear(seen(api, shop, 4, n1="OK"))
    assert status(api, shop) == ("degraded", "n2 is DB_DOWN")
    api.hear(recovered(shop, 5))
    assert status(api, shop) == ("active", "")
    history = api.get(f"/v1/clusters/{shop}/health")["history"]
    changes = [(one["name"], one["verdict"]) for one in history]
    assert changes[:4] == [("shop-2", "OK"), ("shop-1", "OK"), ("shop-1", "HOST_DOWN"), ("shop-2", "DB_DOWN")]
    assert sorted(changes[4:]) == [("shop-1", "OK"), ("shop-2", "OK")]
    topics = [one["type"] for one in api.get("/v1/events")["events"]]
    assert topics.count("cluster.degraded") == 2
    assert topics.count("cluster.recovered") == 1
    assert "health.seen" not in topics


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_short_trouble_ends_well_in_whatever_order_it_is_heard(api: Api, shop: str, order: tuple[int, ...]) -> None:
    api.hear(seen(api, shop, 1, n1="OK", n2="OK"))
    told: tuple[Event, ...] = (
        seen(api, shop, 10, n2="DB_DOWN"),
        degraded(api, shop, 10.1, "n2", "DB_DOWN"),
        seen(api, shop, 12, n2="OK"),
        recovered(shop, 12.1),
    )
    api.hear(*(told[number] for number in order))
    # Whatever has come last, the next look agrees with it.
    api.hear(seen(api, shop, 22, n1="OK", n2="OK"))
    assert status(api, shop) == ("active", "")


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_trouble_that_stays_is_shown_in_whatever_order_it_is_heard(
    api: Api, order: tuple[int, ...], clock: ManualClock
) -> None:
    cluster, operation = api.create(size=1)
    (node,) = nodes(api, cluster).values()
    told: tuple[Event, ...] = (
        databases.ClusterActive(cluster_id=cluster, operation_id=operation, primary_id=node, endpoint=endpoint("a")),
        seen(api, cluster, 1, n1="DISK_FULL"),
        degraded(api, cluster, 1.1, "n1", "DISK_FULL"),
    )
    api.hear(*(told[number] for number in order))
    assert status(api, cluster) == ("degraded", "n1 is DISK_FULL")


def test_nodes_can_be_added_to_and_removed_from_a_cluster_that_is_degraded(api: Api, shop: str) -> None:
    api.hear(seen(api, shop, 1, n1="OK", n2="REPLICATION_BROKEN"))
    operation = add(api, shop)
    there = nodes(api, shop)
    serves(api, shop, operation, there["shop-3"])
    # It serves with one node more; what is wrong with another is not forgotten by that.
    assert status(api, shop) == ("degraded", "n2 is REPLICATION_BROKEN")
    assert api.operation(operation)["status"] == "succeeded"
    answer = api.ask("DELETE", f"/v1/clusters/{shop}/nodes/{there['shop-2']}")
    assert answer.status_code == 202
    api.hear(databases.NodesRemoved(cluster_id=shop, operation_id=answer.json["id"], instance_ids=(there["shop-2"],),
                                    endpoint=endpoint("shop-1", "shop-3")))  # fmt: skip
    assert status(api, shop) == ("active", "")
    assert len(api.get(f"/v1/clusters/{shop}")["endpoint"]["replicas"]) == 1


def test_what_is_said_of_a_node_that_goes_is_not_held(api: Api, shop: str) -> None:
    late = seen(api, shop, 3, n2="HOST_DOWN")
    api.hear(seen(api, shop, 1, n1="OK", n2="OK"))
    node = nodes(api, shop)["shop-2"]
    api.hear(provisioner.InstanceDeleted(instance_id=node, cluster_id=shop, operation_id="o"), late)
    assert [row.verdict for row in api.rows("health")] == ["OK"]
    api.hear(databases.ClusterDeleted(cluster_id=shop, operation_id="o"))
    assert api.rows("health") == api.rows("health_history") == []


def test_metrics_count_nodes_by_verdict_and_tell_the_age_of_the_oldest_look(
    api: Api, shop: str, clock: ManualClock
) -> None:
    api.hear(seen(api, shop, 1, n1="OK"), seen(api, shop, 3, n2="DB_DOWN"))
    clock.advance(8)
    text = api.context.metrics.text(api.database).decode()
    assert 'dtrove_nodes{verdict="OK"} 1.0' in text
    assert 'dtrove_nodes{verdict="DB_DOWN"} 1.0' in text
    assert "dtrove_nodes_seen_seconds_ago 7.0" in text


def test_health_of_another_project_s_cluster_is_not_shown(api: Api, shop: str) -> None:
    other = api.token("member", api.project())
    assert api.ask("GET", f"/v1/clusters/{shop}/health", token=other).status_code == 404


def test_a_month_of_history_is_kept(api: Api, shop: str, clock: ManualClock) -> None:
    api.hear(seen(api, shop, 1, n1="OK"), seen(api, shop, 86_400, n2="OK"))
    clock.advance(30 * 86_400 + 60)
    assert health.forget_old(api.database) == 1
    left: list[Any] = api.get(f"/v1/clusters/{shop}/health")["history"]
    assert [one["name"] for one in left] == ["shop-2"]
