"""More nodes for a cluster that serves, and fewer, over HTTP; what the other services say is told by hand."""

from __future__ import annotations

from typing import Any

import pytest

from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.contracts.values import Address, Endpoint, Problem
from tests.support.api import Api


def endpoint(*hosts: str) -> Endpoint:
    first, *others = (Address(host=host, port=5432) for host in hosts)
    return Endpoint(primary=first, replicas=tuple(others), url="postgresql://" + ",".join(hosts))


def serves(api: Api, cluster: str, operation: str, *nodes: str) -> None:
    """All of these nodes have become ready."""
    shown = {one["id"]: one["name"] for one in api.get(f"/v1/clusters/{cluster}")["instances"]}
    for node in nodes:
        api.hear(
            provisioner.InstanceActive(instance_id=node, cluster_id=cluster, operation_id=operation, server="s",
                                       addr=shown[node], user="root", host_key="k"),
            databases.NodeReady(instance_id=node, cluster_id=cluster, operation_id=operation),
        )  # fmt: skip
    everybody = [one["id"] for one in api.get(f"/v1/clusters/{cluster}")["instances"]]
    api.hear(databases.ClusterActive(cluster_id=cluster, operation_id=operation, primary_id=everybody[0],
                                     endpoint=endpoint(*shown.values())))  # fmt: skip


@pytest.fixture
def shop(api: Api) -> str:
    """A cluster of two nodes that serves."""
    cluster, operation = api.create(size=2)
    serves(api, cluster, operation, *nodes(api, cluster).values())
    return cluster


def nodes(api: Api, cluster: str) -> dict[str, str]:
    return {one["name"]: one["id"] for one in api.get(f"/v1/clusters/{cluster}")["instances"]}


def add(api: Api, cluster: str, count: int = 1) -> str:
    answer = api.ask("POST", f"/v1/clusters/{cluster}/nodes", {"count": count})
    assert answer.status_code == 202, answer.text
    return str(answer.json["id"])


def wished(api: Api, topic: str) -> list[Any]:
    return [row for row in api.rows("outbox") if row.routing_key == topic]


def test_nodes_are_added_with_names_that_go_on_and_the_operation_ends_with_them(api: Api, shop: str) -> None:
    operation = add(api, shop, 2)
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["size"], shown["status"], shown["operation"]) == (4, "active", operation)
    there = nodes(api, shop)
    assert list(there) == ["shop-1", "shop-2", "shop-3", "shop-4"]
    serves(api, shop, operation, there["shop-3"], there["shop-4"])
    assert api.operation(operation)["status"] == "succeeded"
    shown = api.get(f"/v1/clusters/{shop}")
    assert [one["role"] for one in shown["instances"]] == ["primary", "replica", "replica", "replica"]
    assert len(shown["endpoint"]["replicas"]) == 3
    assert shown["operation"] is None


def test_a_plan_of_more_nodes_names_them_and_changes_nothing(api: Api, shop: str) -> None:
    answer = api.ask("POST", f"/v1/clusters/{shop}/nodes?plan=true", {"count": 1})
    assert answer.status_code == 200
    assert [one["host"] for one in answer.json["plan"]["hosts"]] == ["shop-3"]
    assert list(nodes(api, shop)) == ["shop-1", "shop-2"]


@pytest.mark.parametrize(("count", "status"), [(4, 422), (0, 422), (-1, 422), ("two", 422), (3, 202)])
def test_a_cluster_grows_up_to_the_most_that_may_be(api: Api, shop: str, count: Any, status: int) -> None:
    answer = api.ask("POST", f"/v1/clusters/{shop}/nodes", {"count": count})
    assert answer.status_code == status
    if status == 422:
        assert answer.json["errors"][0]["field"] == "count"
        assert api.get(f"/v1/clusters/{shop}")["size"] == 2


def test_a_datastore_without_replicas_gets_none(api: Api) -> None:
    cluster, operation = api.create(datastore="mysql 10.11")
    serves(api, cluster, operation, *nodes(api, cluster).values())
    answer = api.ask("POST", f"/v1/clusters/{cluster}/nodes", {})
    assert answer.status_code == 409
    assert "no replicas" in answer.json["detail"]


def test_a_cluster_that_does_not_serve_yet_does_not_grow(api: Api) -> None:
    cluster, _ = api.create()
    assert api.ask("POST", f"/v1/clusters/{cluster}/nodes", {}).status_code == 409


def test_a_quota_of_nodes_bounds_what_is_added(api: Api, shop: str) -> None:
    project = api.get(f"/v1/clusters/{shop}")["project"]
    api.ask("PUT", f"/v1/projects/{project}/quotas", {"clusters": 1, "instances": 3}, token=api.admin)
    answer = api.ask("POST", f"/v1/clusters/{shop}/nodes", {"count": 2})
    assert answer.status_code == 409
    assert "may have 3 nodes" in answer.json["detail"] or "may have 3 instances" in answer.json["detail"]
    assert add(api, shop)


def test_the_same_key_adds_nodes_once(api: Api, shop: str) -> None:
    first, second = (
        api.ask("POST", f"/v1/clusters/{shop}/nodes", {"count": 1}, key="once").json["id"] for _ in range(2)
    )
    assert first == second
    assert api.get(f"/v1/clusters/{shop}")["size"] == 3


def test_nodes_that_could_not_be_added_fail_the_operation_and_not_the_cluster(api: Api, shop: str) -> None:
    operation = add(api, shop)
    problem = Problem(step="create_server", message="the quota is used up")
    api.hear(databases.NodesFailed(cluster_id=shop, operation_id=operation, problem=problem))
    assert api.operation(operation)["status"] == "failed"
    assert api.get(f"/v1/clusters/{shop}")["status"] == "active"
    assert api.ask("POST", f"/v1/operations/{operation}/retry").status_code == 202


def test_an_add_that_is_cancelled_takes_its_nodes_back(api: Api, shop: str) -> None:
    operation = add(api, shop, 2)
    assert api.ask("POST", f"/v1/operations/{operation}/cancel").status_code == 202
    there = nodes(api, shop)
    coming = [there["shop-3"], there["shop-4"]]
    assert len(wished(api, "nodes.remove_requested")) == 1
    api.hear(databases.ClusterActive(cluster_id=shop, operation_id=operation, endpoint=endpoint("late")))
    assert api.operation(operation)["status"] == "cancelling"
    api.hear(*(provisioner.InstanceDeleted(instance_id=one, cluster_id=shop, operation_id=operation) for one in coming))
    api.hear(databases.NodesRemoved(cluster_id=shop, operation_id=operation, instance_ids=tuple(coming),
                                    endpoint=endpoint("shop-1", "shop-2")))  # fmt: skip
    assert api.operation(operation)["status"] == "cancelled"
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["size"], list(nodes(api, shop))) == (2, ["shop-1", "shop-2"])
    # The names of those that went are not given again.
    add(api, shop)
    assert list(nodes(api, shop))[-1] == "shop-5"


def test_a_replica_is_removed_and_its_place_counts_no_more(api: Api, shop: str) -> None:
    replica = nodes(api, shop)["shop-2"]
    answer = api.ask("DELETE", f"/v1/clusters/{shop}/nodes/{replica}")
    assert answer.status_code == 202
    operation = answer.json["id"]
    # Asked again, it is the same.
    assert api.ask("DELETE", f"/v1/clusters/{shop}/nodes/{replica}").json["id"] == operation
    assert [one["status"] for one in api.get(f"/v1/clusters/{shop}")["instances"]] == ["active", "deleting"]
    assert api.ask("POST", f"/v1/operations/{operation}/cancel").status_code == 409
    api.hear(
        databases.NodeReleased(instance_id=replica, cluster_id=shop, operation_id=operation, project_id="p"),
        provisioner.InstanceDeleted(instance_id=replica, cluster_id=shop, operation_id=operation),
        databases.NodesRemoved(cluster_id=shop, operation_id=operation, instance_ids=(replica,),
                               endpoint=endpoint("shop-1")),
    )  # fmt: skip
    assert api.operation(operation)["status"] == "succeeded"
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["size"], shown["endpoint"]["replicas"]) == (1, [])
    assert api.ask("GET", f"/v1/instances/{replica}").status_code == 404
    assert [one["name"] for one in api.get(f"/v1/clusters/{shop}/instances")["instances"]] == ["shop-1"]


def test_the_primary_and_the_only_replica_of_a_synchronous_cluster_stay(api: Api) -> None:
    cluster, operation = api.create(size=2, topology={"mode": "sync"})
    there = nodes(api, cluster)
    serves(api, cluster, operation, *there.values())
    for name, words in (("shop-1", "is the primary"), ("shop-2", "its only one")):
        answer = api.ask("DELETE", f"/v1/clusters/{cluster}/nodes/{there[name]}")
        assert answer.status_code == 409
        assert words in answer.json["detail"]
    lost = api.ask("DELETE", f"/v1/clusters/{cluster}/nodes/{there['shop-2']}?plan=true")
    assert lost.status_code == 409


def test_a_plan_of_a_removal_says_what_is_lost(api: Api) -> None:
    cluster, operation = api.create(size=2, volume_gb=3)
    there = nodes(api, cluster)
    serves(api, cluster, operation, *there.values())
    answer = api.ask("DELETE", f"/v1/clusters/{cluster}/nodes/{there['shop-2']}?plan=true")
    assert answer.status_code == 200
    assert "volume of 3 GB of shop-2" in answer.json["plan"]["lost"]
    assert len(nodes(api, cluster)) == 2


def test_a_node_of_another_cluster_or_another_project_is_not_found(api: Api, shop: str) -> None:
    other, operation = api.create("other", size=2)
    serves(api, other, operation, *nodes(api, other).values())
    theirs = nodes(api, other)["other-2"]
    assert api.ask("DELETE", f"/v1/clusters/{shop}/nodes/{theirs}").status_code == 404
    # Also while both have something under way.
    add(api, shop)
    assert api.ask("DELETE", f"/v1/clusters/{other}/nodes/{theirs}").status_code == 202
    assert api.ask("DELETE", f"/v1/clusters/{shop}/nodes/{theirs}").status_code == 404
    stranger = api.token("member", api.project("strangers"))
    assert api.ask("DELETE", f"/v1/clusters/{other}/nodes/{theirs}", token=stranger).status_code == 404
    assert api.ask("POST", f"/v1/clusters/{other}/nodes", {}, token=stranger).status_code == 404
    assert api.ask("POST", f"/v1/clusters/{other}/nodes", {}, token=api.reader).status_code == 403
