"""Larger volumes and other servers, asked for over HTTP; what the other services say is told by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.contracts import datastore_agentless as databases
from shared.contracts.operations import OperationEnded
from shared.contracts.provisioner import FlavorsListed
from shared.contracts.values import Flavor
from tests.component.api.test_scaling import nodes, serves, wished
from tests.support.api import Api

SEEN = {"volume_gb": 20, "nodes": [{"name": "shop-1", "file_system_bytes": 20 << 30, "message": ""}]}


@pytest.fixture
def shop(api: Api) -> str:
    """A cluster of two nodes that serves, each with a volume of 10 GB."""
    cluster, operation = api.create(size=2, volume_gb=10)
    serves(api, cluster, operation, *nodes(api, cluster).values())
    return cluster


def asked(api: Api, cluster: str, body: Any, query: str = "", **options: Any) -> Any:
    return api.ask("POST", f"/v1/clusters/{cluster}/resize{query}", body, **options)


def ended(api: Api, cluster: str, operation: str, status: str) -> None:
    api.hear(OperationEnded(operation_id=operation, cluster_id=cluster, status=status))


def test_volumes_grow_by_an_operation_and_the_cluster_says_how_large_they_are_then(api: Api, shop: str) -> None:
    first = asked(api, shop, {"volume_gb": 20})
    assert (first.status_code, first.json["kind"]) == (202, "resize_cluster")
    (wish,) = wished(api, "cluster.resize_requested")
    assert json.loads(wish.body)["volume_gb"] == 20
    assert asked(api, shop, {"volume_gb": 20}).status_code == 409
    assert api.get(f"/v1/clusters/{shop}")["volume_gb"] == 10
    operation = first.json["id"]
    api.hear(databases.ClusterResized(cluster_id=shop, operation_id=operation, volume_gb=20, result=SEEN))
    shown = api.operation(operation)
    assert (shown["status"], shown["result"]) == ("succeeded", SEEN)
    assert api.get(f"/v1/clusters/{shop}")["volume_gb"] == 20
    assert asked(api, shop, {"volume_gb": 20}).status_code == 202, "the same size again has only nothing to do"


@pytest.mark.parametrize("query", ["", "?plan=true"])
@pytest.mark.parametrize(("body", "words"), [
    ({}, "give one of the two"), ({"volume_gb": 9}, "must be at least 10"), ({"volume_gb": "20"}, "whole number"),
    ({"volume_gb": 20, "flavor": "huge"}, "there is no 'huge'; there are small, medium"),
])  # fmt: skip
def test_a_size_that_is_none_is_refused_by_the_field(api: Api, shop: str, query: str, body: Any, words: str) -> None:
    refused = asked(api, shop, body, query)
    assert refused.status_code == 422
    assert words in refused.json["errors"][0]["reason"].lower()
    assert wished(api, "cluster.resize_requested") == []


def test_nodes_without_volumes_do_not_grow(api: Api) -> None:
    bare, operation = api.create("bare")
    serves(api, bare, operation, *nodes(api, bare).values())
    assert "no volumes of their own" in asked(api, bare, {"volume_gb": 20}).json["detail"]


def test_what_volumes_are_about_to_have_counts_for_the_quota_also_where_some_may_have_it(api: Api, shop: str) -> None:
    path = f"/v1/projects/{api.get(f'/v1/clusters/{shop}')['project']}/quotas"
    api.ask("PUT", path, {"volume_gb": 30}, token=api.admin)
    refused = asked(api, shop, {"volume_gb": 16})
    assert (refused.status_code, "this needs 12 more" in refused.json["detail"]) == (409, True)
    operation = asked(api, shop, {"volume_gb": 15}).json["id"]
    for status in ("running", "failed"):
        if status == "failed":
            ended(api, shop, operation, status)
        assert api.get(path)["used"]["volume_gb"] == 30
        other = api.ask("POST", "/v1/clusters", {"name": "other", "datastore": "pgsql 15", "volume_gb": 1})
        assert other.status_code == 409
    operation = asked(api, shop, {"volume_gb": 11}).json["id"]
    api.hear(databases.ClusterResized(cluster_id=shop, operation_id=operation, volume_gb=11))
    assert api.get(path)["used"]["volume_gb"] == 22


def test_a_plan_of_larger_volumes_changes_nothing_and_readers_may_not_ask(api: Api, shop: str) -> None:
    before = api.rows("operations"), api.rows("clusters"), api.rows("outbox")
    assert asked(api, shop, {"volume_gb": 20}, "?plan=true").json["plan"]["hosts"][0]["host"] == "20"
    assert asked(api, shop, {"volume_gb": 20}, token=api.reader).status_code == 403
    assert (api.rows("operations"), api.rows("clusters"), api.rows("outbox")) == before


def test_servers_of_another_flavor_are_asked_for_and_the_volumes_may_be_larger_before(api: Api, shop: str) -> None:
    assert api.get(f"/v1/clusters/{shop}")["flavor"]["name"] == "medium"
    operation = asked(api, shop, {"flavor": "small", "volume_gb": 20}).json["id"]
    wish = json.loads(wished(api, "cluster.resize_requested")[0].body)
    assert (wish["flavor"]["name"], wish["former"], wish["volume_gb"]) == ("small", "medium", 20)
    small = Flavor(**wish["flavor"])
    api.hear(databases.ClusterResized(cluster_id=shop, operation_id="", volume_gb=20))
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["volume_gb"], shown["flavor"]["name"], shown["operation"]) == (20, "medium", operation)
    api.hear(databases.ClusterResized(cluster_id=shop, operation_id=operation, volume_gb=20, flavor=small))
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["flavor"]["name"], shown["operation"], api.operation(operation)["status"]) == (
        "small",
        None,
        "succeeded",
    )
    asked(api, shop, {"flavor": "small"})
    assert json.loads(wished(api, "cluster.resize_requested")[1].body)["flavor"] is None, "it is so already"


def test_the_way_back_to_the_former_flavor_is_open_after_a_resize_that_has_failed(api: Api, shop: str) -> None:
    ended(api, shop, asked(api, shop, {"flavor": "small"}).json["id"], "failed")
    asked(api, shop, {"flavor": "medium"})
    assert json.loads(wished(api, "cluster.resize_requested")[1].body)["flavor"]["name"] == "medium"


def test_a_provider_whose_servers_keep_their_size_is_not_asked_for_others(api: Api, shop: str) -> None:
    sizes = tuple(Flavor(id=name, name=name, vcpus=1, ram_mb=512, disk_gb=5) for name in ("small", "medium"))
    api.hear(FlavorsListed(provider="static", flavors=sizes, supports_volumes=True, supports_snapshots=False))
    refused = asked(api, shop, {"flavor": "small"})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "flavor")
    assert "keep their size" in refused.json["errors"][0]["reason"]
