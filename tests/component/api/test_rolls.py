"""Clusters started, stopped and restarted over HTTP; what the other services say is told by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.contracts import datastore_agentless as databases
from shared.contracts.base import new_id
from shared.contracts.operations import OperationEnded
from shared.contracts.values import NodeHealth, Problem
from tests.component.api.test_scaling import nodes, serves, wished
from tests.support.api import Api

KINDS = ("start", "stop", "restart")
each_kind = pytest.mark.parametrize("kind", KINDS)
WHY = Problem(step="serve", host="shop-2", message="shop-2 does not serve after 300 s")


@pytest.fixture
def shop(api: Api) -> str:
    """A cluster of two nodes that serves."""
    cluster, operation = api.create(size=2)
    serves(api, cluster, operation, *nodes(api, cluster).values())
    return cluster


def asked(api: Api, cluster: str, kind: str, body: Any = None, **options: Any) -> Any:
    return api.ask("POST", f"/v1/clusters/{cluster}/{kind}", {} if body is None else body, **options)


def begun(api: Api, cluster: str, kind: str) -> dict[str, str]:
    """Ask for it; the ids that its events have."""
    answer = asked(api, cluster, kind)
    assert answer.status_code == 202, answer.text
    assert (answer.json["kind"], answer.json["status"]) == (f"{kind}_cluster", "pending")
    return {"cluster_id": cluster, "operation_id": answer.json["id"]}


def stopped(api: Api, cluster: str) -> str:
    api.hear(databases.ClusterStopped(**begun(api, cluster, "stop"), result={"nodes": []}))  # type: ignore[arg-type]
    return cluster


def untouched(api: Api, cluster: str) -> bool:
    wishes = [row for kind in KINDS for row in wished(api, f"cluster.{kind}_requested")]
    return not wishes and api.get(f"/v1/clusters/{cluster}")["operation"] is None


def test_a_cluster_is_stopped_and_shown_so_until_it_is_started(api: Api, shop: str) -> None:
    shown = api.get(f"/v1/clusters/{stopped(api, shop)}")
    assert (shown["status"], shown["operation"], shown["health"]) == ("stopped", None, None)
    assert [one["status"] for one in shown["instances"]] == ["stopped", "stopped"]
    assert [one["id"] for one in api.get("/v1/clusters?status=stopped")["clusters"]] == [shop]
    ids = begun(api, shop, "start")
    assert api.get(f"/v1/clusters/{shop}")["status"] == "stopped"
    api.hear(databases.ClusterStarted(**ids, result={"nodes": [{"name": "shop-1"}]}))  # type: ignore[arg-type]
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["status"], shown["endpoint"]["primary"]["host"]) == ("active", "shop-1")
    assert [one["status"] for one in shown["instances"]] == ["active", "active"]
    ended = api.operation(ids["operation_id"])
    assert (ended["status"], ended["result"]["nodes"][0]["name"]) == ("succeeded", "shop-1")
    assert [one["type"] for one in api.get("/v1/events")["events"] if "st" in one["type"]][-4:] == [
        "cluster.stop_requested", "cluster.stopped", "cluster.start_requested", "cluster.started",
    ]  # fmt: skip


def test_a_cluster_is_restarted_or_one_instance_of_it(api: Api, shop: str) -> None:
    ids = begun(api, shop, "restart")
    api.hear(databases.ClusterRestarted(**ids, result={"nodes": []}))  # type: ignore[arg-type]
    assert api.operation(ids["operation_id"])["status"] == "succeeded"
    replica = nodes(api, shop)["shop-2"]
    assert asked(api, shop, "restart", {"instance": replica}).status_code == 202
    first, second = (json.loads(row.body)["instance_id"] for row in wished(api, "cluster.restart_requested"))
    assert (first, second) == ("", replica)
    assert api.get(f"/v1/clusters/{shop}")["status"] == "active"


def test_a_start_that_lacks_a_replica_has_failed_and_the_cluster_serves(api: Api, shop: str) -> None:
    ids = begun(api, stopped(api, shop), "start")
    api.hear(databases.ClusterStarted(**ids, problem=WHY))  # type: ignore[arg-type]
    ended = api.operation(ids["operation_id"])
    assert (ended["status"], ended["problem"]["message"]) == ("failed", WHY.message)
    assert api.get(f"/v1/clusters/{shop}")["status"] == "active"


def test_a_stop_that_fails_leaves_the_cluster_as_it_was(api: Api, shop: str) -> None:
    ids = begun(api, shop, "stop")
    api.hear(OperationEnded(**ids, status="failed", problem=WHY))  # type: ignore[arg-type]
    assert api.get(f"/v1/clusters/{shop}")["status"] == "active"


def test_what_was_said_of_its_health_before_does_not_make_a_stopped_cluster_degraded(api: Api, shop: str) -> None:
    node = nodes(api, shop)["shop-2"]
    ill: dict[str, Any] = {"instance_id": node, "cluster_id": shop, "verdict": "DB_DOWN", "message": "shop-2 is down"}
    api.hear(databases.ClusterDegraded(**ill))
    assert api.get(f"/v1/clusters/{shop}")["status"] == "degraded"
    stopped(api, shop)
    now = datetime.now(UTC).isoformat()
    api.hear(databases.HealthSeen(nodes=(NodeHealth(**ill, seen_at=now, since=now, evidence={}, facts={}),)),
             databases.ClusterDegraded(**ill))  # fmt: skip
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["status"], shown["message"], shown["health"]) == ("stopped", "", None)
    api.hear(databases.ClusterStarted(**begun(api, shop, "start")))  # type: ignore[arg-type]
    assert api.get(f"/v1/clusters/{shop}")["status"] == "active"


def test_a_stop_that_is_heard_after_the_start_that_came_later_changes_nothing(api: Api, shop: str) -> None:
    ids: dict[str, Any] = {"cluster_id": shop, "operation_id": new_id()}
    earlier = datetime.now(UTC) - timedelta(seconds=5)
    api.hear(databases.ClusterStarted(**ids), databases.ClusterStopped(**ids, occurred_at=earlier))
    assert api.get(f"/v1/clusters/{shop}")["status"] == "active"


@pytest.mark.parametrize(("method", "path", "body"), [
    ("POST", "stop", {}), ("POST", "restart", {}), ("POST", "switchover", {}), ("POST", "failover", {}),
    ("POST", "nodes", {"count": 1}), ("DELETE", "nodes/{node}", None), ("POST", "backups", {}),
])  # fmt: skip
def test_a_stopped_cluster_is_started_or_deleted_and_nothing_else(
    api: Api, shop: str, method: str, path: str, body: Any
) -> None:
    stopped(api, shop)
    refused = api.ask(method, f"/v1/clusters/{shop}/{path.format(node=nodes(api, shop)['shop-2'])}", body)
    assert refused.status_code == 409
    assert "is stopped" in refused.json["detail"]
    assert "start it first" in refused.json["detail"]
    assert api.ask("DELETE", f"/v1/clusters/{shop}").status_code == 202


def test_only_what_is_stopped_is_started(api: Api, shop: str) -> None:
    refused = asked(api, shop, "start")
    assert (refused.status_code, "is active" in refused.json["detail"]) == (409, True)


@each_kind
@pytest.mark.parametrize("plan", ["", "?plan=true"])
def test_only_members_of_its_project_may_ask(api: Api, shop: str, kind: str, plan: str) -> None:
    assert asked(api, shop, f"{kind}{plan}", token=api.reader).status_code == 403
    stranger = api.token("member", api.project("strangers"))
    assert asked(api, shop, f"{kind}{plan}", token=stranger).status_code == 404
    assert untouched(api, shop)


@pytest.mark.parametrize(("kind", "body", "field"), [
    ("restart", {"instance": "shop-2"}, "instance"), ("restart", {"node": "x"}, "node"), ("stop", {"force": True}, "force"),
])  # fmt: skip
def test_a_wish_that_is_none_is_refused_by_the_field(api: Api, shop: str, kind: str, body: Any, field: str) -> None:
    answer = asked(api, shop, kind, body)
    assert (answer.status_code, [one["field"] for one in answer.json["errors"]]) == (422, [field])
    assert untouched(api, shop)


def test_an_instance_of_another_cluster_is_not_restarted(api: Api, shop: str) -> None:
    other, operation = api.create("other", size=2)
    serves(api, other, operation, *nodes(api, other).values())
    for instance in (nodes(api, other)["other-2"], new_id()):
        assert asked(api, shop, "restart", {"instance": instance}).status_code == 404
    assert untouched(api, shop)


@each_kind
def test_a_plan_is_asked_for_and_changes_nothing_and_the_same_key_asks_once(api: Api, shop: str, kind: str) -> None:
    if kind == "start":
        stopped(api, shop)
    before = api.rows("operations"), api.rows("clusters"), api.rows("outbox")
    answer = asked(api, shop, f"{kind}?plan=true")
    assert (answer.status_code, answer.json["plan"]["hosts"][0]["host"]) == (200, kind)
    assert (api.rows("operations"), api.rows("clusters"), api.rows("outbox")) == before
    first, second = (asked(api, shop, kind, key="once").json["id"] for _ in range(2))
    assert first == second
