"""Another primary, asked for over HTTP; what the other services say is told by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import update

from services.api.store import tables
from shared.contracts import datastore_agentless as databases
from shared.contracts.base import new_id
from shared.contracts.operations import OperationBegun, OperationEnded
from shared.contracts.values import Problem
from tests.component.api.test_scaling import add, endpoint, nodes, serves, wished
from tests.support.api import Api

KINDS = ("switchover", "failover")
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def shop(api: Api) -> str:
    """A cluster of three nodes that serves."""
    cluster, operation = api.create(size=3)
    serves(api, cluster, operation, *nodes(api, cluster).values())
    return cluster


def asked(api: Api, cluster: str, kind: str, body: Any = None, **options: Any) -> Any:
    return api.ask("POST", f"/v1/clusters/{cluster}/{kind}", {} if body is None else body, **options)


def wish_of(api: Api, kind: str) -> dict[str, Any]:
    (row,) = wished(api, f"{kind}.requested")
    return dict(json.loads(row.body))


def untouched(api: Api, cluster: str) -> bool:
    """Whether nobody was asked for anything, and nothing is under way."""
    wishes = [row for kind in KINDS for row in wished(api, f"{kind}.requested")]
    return not wishes and api.get(f"/v1/clusters/{cluster}")["operation"] is None


@each_kind
def test_a_takeover_is_an_operation_and_its_end_is_as_the_services_say(api: Api, shop: str, kind: str) -> None:
    answer = asked(api, shop, kind)
    assert answer.status_code == 202
    operation = answer.json["id"]
    assert answer.headers["Location"] == f"/v1/operations/{operation}"
    assert (answer.json["kind"], answer.json["status"]) == (kind, "pending")
    assert api.get(f"/v1/clusters/{shop}")["operation"] == operation
    wish = wish_of(api, kind)
    assert (wish["cluster_id"], wish["operation_id"], wish["instance_id"]) == (shop, operation, "")
    there = nodes(api, shop)
    api.hear(
        databases.PrimaryChanged(cluster_id=shop, operation_id=operation, primary_id=there["shop-2"],
                                 former_id=there["shop-1"], endpoint=endpoint("shop-2", "shop-1", "shop-3")),
        OperationEnded(cluster_id=shop, operation_id=operation, status="succeeded",
                       result={"primary": {"id": there["shop-2"]}, "evidence": {"check": {}}}),
    )  # fmt: skip
    ended = api.operation(operation)
    assert (ended["status"], ended["result"]["primary"]["id"]) == ("succeeded", there["shop-2"])
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["endpoint"]["primary"]["host"], shown["operation"]) == ("shop-2", None)
    assert [one["role"] for one in shown["instances"]] == ["replica", "primary", "replica"]


@each_kind
def test_a_replica_may_be_named(api: Api, shop: str, kind: str) -> None:
    replica = nodes(api, shop)["shop-3"]
    assert asked(api, shop, kind, {"instance": replica}).status_code == 202
    assert wish_of(api, kind)["instance_id"] == replica


@pytest.mark.parametrize(("body", "accepts"), [({}, False), ({"accept_loss": True}, True)])
def test_loss_is_accepted_only_by_a_word(api: Api, shop: str, body: dict[str, Any], accepts: bool) -> None:
    assert asked(api, shop, "failover", body).status_code == 202
    assert wish_of(api, "failover")["accept_loss"] is accepts


@each_kind
def test_only_one_operation_changes_a_cluster_at_a_time(api: Api, shop: str, kind: str) -> None:
    add(api, shop)
    refused = asked(api, shop, kind)
    assert refused.status_code == 409
    assert "another operation" in refused.json["detail"]
    assert wished(api, f"{kind}.requested") == []


@each_kind
def test_no_node_is_added_while_a_takeover_runs(api: Api, shop: str, kind: str) -> None:
    assert asked(api, shop, kind).status_code == 202
    assert api.ask("POST", f"/v1/clusters/{shop}/nodes", {"count": 1}).status_code == 409
    for other in KINDS:
        assert asked(api, shop, other).status_code == 409


@each_kind
@pytest.mark.parametrize("plan", ["", "?plan=true"])
def test_the_successor_is_a_replica_of_this_cluster_that_serves(api: Api, shop: str, kind: str, plan: str) -> None:
    other, operation = api.create("other", size=2)
    serves(api, other, operation, *nodes(api, other).values())
    there = nodes(api, shop)
    leaving = update(tables.instances).where(tables.instances.c.id == there["shop-3"]).values(status="off")
    with api.database.write() as tx:
        tx.connection.execute(leaving)
    for instance, status in (
        (new_id(), 404), (nodes(api, other)["other-2"], 404), (there["shop-1"], 409), (there["shop-3"], 409),
    ):  # fmt: skip
        answer = asked(api, shop, f"{kind}{plan}", {"instance": instance})
        assert answer.status_code == status, answer.text
    assert untouched(api, shop)


@each_kind
@pytest.mark.parametrize("plan", ["", "?plan=true"])
@pytest.mark.parametrize("names_primary", [True, False])
def test_a_cluster_of_one_node_has_nobody_to_take_over(api: Api, kind: str, plan: str, names_primary: bool) -> None:
    cluster, operation = api.create()
    serves(api, cluster, operation, *nodes(api, cluster).values())
    if not names_primary:
        # An older release named none for a cluster of one node.
        with api.database.write() as tx:
            tx.connection.execute(update(tables.clusters).values(primary_id=""))
    answer = asked(api, cluster, f"{kind}{plan}")
    assert answer.status_code == 409
    assert "no replica" in answer.json["detail"]
    assert untouched(api, cluster)


@each_kind
def test_a_degraded_cluster_may_have_another_primary(api: Api, shop: str, kind: str) -> None:
    api.hear(databases.ClusterDegraded(cluster_id=shop, instance_id=nodes(api, shop)["shop-1"], verdict="HOST_DOWN",
                                       message="shop-1 is down"))  # fmt: skip
    assert api.get(f"/v1/clusters/{shop}")["status"] == "degraded"
    assert asked(api, shop, kind).status_code == 202


@each_kind
def test_a_cluster_that_does_not_serve_has_no_other_primary(api: Api, kind: str) -> None:
    cluster, _ = api.create(size=2)
    assert asked(api, cluster, kind).status_code == 409
    assert asked(api, new_id(), kind).status_code == 404


@each_kind
@pytest.mark.parametrize("plan", ["", "?plan=true"])
def test_only_members_of_its_project_may_ask(api: Api, shop: str, kind: str, plan: str) -> None:
    assert asked(api, shop, f"{kind}{plan}", token=api.reader).status_code == 403
    assert asked(api, shop, f"{kind}{plan}", token="").status_code == 401
    stranger = api.token("member", api.project("strangers"))
    assert asked(api, shop, f"{kind}{plan}", token=stranger).status_code == 404
    assert untouched(api, shop)
    assert "plan_takeover" not in api.databases.asked


BAD: list[tuple[str, Any, str]] = [
    ("switchover", {"instance": "shop-2"}, "instance"), ("switchover", {"instance": 2}, "instance"),
    ("switchover", {"accept_loss": True}, "accept_loss"), ("failover", {"accept_loss": "yes"}, "accept_loss"),
    ("failover", {"instance": ""}, "instance"), ("failover", {"instance": "'; drop table x; --"}, "instance"),
    ("failover", {"node": "x"}, "node"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "field"), BAD)
def test_a_wish_that_is_none_is_refused_by_the_field(api: Api, shop: str, kind: str, body: Any, field: str) -> None:
    answer = asked(api, shop, kind, body)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json["errors"]] == [field]
    assert untouched(api, shop)


@each_kind
def test_a_plan_shows_commands_for_each_host_and_changes_nothing(api: Api, shop: str, kind: str) -> None:
    before = api.rows("operations"), api.rows("clusters"), api.rows("outbox")
    answer = asked(api, shop, f"{kind}?plan=true", {"instance": nodes(api, shop)["shop-2"]})
    assert answer.status_code == 200
    plan = answer.json["plan"]
    assert [one["host"] for one in plan["hosts"]] == ["shop-1", "shop-2"]
    assert all(one["commands"] for one in plan["hosts"])
    assert bool(plan["restarts"]) is (kind == "failover")
    assert plan["moves"] == ["address 10.9.0.250: from shop-1 to shop-2"]
    assert (api.rows("operations"), api.rows("clusters"), api.rows("outbox")) == before


@each_kind
def test_a_plan_of_a_service_that_is_away_is_asked_for_again_later(api: Api, shop: str, kind: str) -> None:
    api.databases.away = True
    assert asked(api, shop, f"{kind}?plan=true").status_code == 503


@each_kind
def test_the_same_key_asks_once(api: Api, shop: str, kind: str) -> None:
    first, second = (asked(api, shop, kind, key="once").json["id"] for _ in range(2))
    assert first == second
    assert len(wished(api, f"{kind}.requested")) == 1


@pytest.mark.parametrize(("topology", "shown"), [
    (None, {"mode": "async", "failover": "automatic"}),
    ({}, {"mode": "async", "failover": "automatic"}),
    ({"failover": "manual"}, {"mode": "async", "failover": "manual"}),
    ({"mode": "sync", "failover": "manual"}, {"mode": "sync", "failover": "manual"}),
])  # fmt: skip
def test_a_cluster_of_several_nodes_says_whether_it_fails_over_by_itself(api: Api, topology: Any, shown: Any) -> None:
    cluster, operation = api.create(size=2, topology=topology)
    assert api.get(f"/v1/clusters/{cluster}")["topology"] == shown
    (wish,) = wished(api, "cluster.requested")
    assert json.loads(wish.body)["topology"] == shown
    # And it stays so when it grows.
    serves(api, cluster, operation, *nodes(api, cluster).values())
    add(api, cluster)
    (more,) = wished(api, "nodes.requested")
    assert json.loads(more.body)["topology"] == shown
    assert api.get(f"/v1/clusters/{cluster}")["topology"] == shown


def test_a_cluster_of_an_older_release_fails_over_by_itself(api: Api, shop: str) -> None:
    with api.database.write() as tx:
        tx.connection.execute(update(tables.clusters).values(topology={"mode": "sync"}))
    (listed,) = api.get("/v1/clusters")["clusters"]
    for one in (listed, api.get(f"/v1/clusters/{shop}")):
        assert one["topology"] == {"mode": "sync", "failover": "automatic"}
    add(api, shop)
    (more,) = wished(api, "nodes.requested")
    assert json.loads(more.body)["topology"] == {"mode": "sync", "failover": "automatic"}


def test_a_return_that_a_user_cancels_ends_cancelled_and_says_what_is_left(api: Api, shop: str) -> None:
    ids: dict[str, Any] = {"cluster_id": shop, "operation_id": new_id()}
    api.hear(OperationBegun(**ids, project_id="p", kind="rejoin_node", message="shop-1 comes back as a replica"))
    assert api.ask("POST", f"/v1/operations/{ids['operation_id']}/cancel").status_code == 202
    assert len(wished(api, "operation.cancel_requested")) == 1
    api.hear(OperationEnded(**ids, status="cancelled", problem=Problem(step="rejoin_node", message="shop-1 is apart")))
    ended = api.operation(ids["operation_id"])
    assert (ended["status"], ended["problem"]["message"]) == ("cancelled", "shop-1 is apart")
    assert add(api, shop)


def test_a_failover_does_not_wait_for_a_backup_and_a_switchover_does(api: Api, shop: str) -> None:
    backup = api.ask("POST", f"/v1/clusters/{shop}/backups", {}).json["id"]
    assert asked(api, shop, "switchover").status_code == 409
    failover = asked(api, shop, "failover").json["id"]
    assert api.get(f"/v1/clusters/{shop}")["operation"] == failover
    assert api.operation(backup)["status"] == "pending"
    assert api.ask("POST", f"/v1/clusters/{shop}/backups", {}).status_code == 409
