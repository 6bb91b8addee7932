"""Parameters of a cluster, asked for over HTTP; what the other services say is told by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.contracts import datastore_agentless as databases
from shared.contracts.base import dump, new_id
from shared.contracts.operations import OperationEnded
from shared.contracts.parameters import BOOLEAN, ENUM, INTEGER, TEXT, NodeParameters, ParameterDefinition
from shared.contracts.values import Problem
from tests.component.api.test_scaling import nodes, serves, wished
from tests.support.api import Api

KNOWN = (
    ParameterDefinition(name="work_mem", kind=INTEGER, unit="kB", minimum="64", maximum="2147483647", default="4096",
                        suffixes={"kB": 1, "MB": 1024}),
    ParameterDefinition(name="max_connections", kind=INTEGER, minimum="20", maximum="1000", default="100", restart=True,
                        standby=True),
    ParameterDefinition(name="shared_buffers", kind=INTEGER, unit="8kB", minimum="16", default="16384", restart=True,
                        suffixes={"kB": 0.125, "MB": 128}),
    ParameterDefinition(name="autovacuum", kind=BOOLEAN, values=("off", "on"), default="on"),
    ParameterDefinition(name="wal_compression", kind=ENUM, values=("pglz", "off"), default="off"),
    ParameterDefinition(name="archive_command", kind=TEXT, refused="it would run a program"),
)  # fmt: skip


@pytest.fixture
def shop(api: Api) -> str:
    """A cluster of three nodes that serves, and whose engine has said what parameters it has."""
    cluster, operation = api.create(size=3)
    serves(api, cluster, operation, *nodes(api, cluster).values())
    datastore = api.get(f"/v1/clusters/{cluster}")["datastore"]["id"]
    api.hear(databases.ParametersDefined(datastore_id=datastore, engine="15.7", definitions=KNOWN))
    return cluster


def asked(
    api: Api, cluster: str, values: dict[str, Any], method: str = "PATCH", query: str = "", **options: Any
) -> Any:
    return api.ask(method, f"/v1/clusters/{cluster}/parameters{query}", {"parameters": values}, **options)


def changed(api: Api, cluster: str, values: dict[str, Any], method: str = "PATCH", query: str = "", **live: str) -> str:
    """A change that succeeds; `live` is what every node says then, as `value state`."""
    answer = asked(api, cluster, values, method, query)
    assert answer.status_code == 202, answer.text
    succeed(api, cluster, answer.json["id"], **live)
    return str(answer.json["id"])


def succeed(api: Api, cluster: str, operation: str, **live: str) -> None:
    seen = {name: said.split() for name, said in live.items()}
    said = [NodeParameters(instance_id=one, live={name: pair[0] for name, pair in seen.items()},
                           states={name: pair[1] for name, pair in seen.items()})
            for one in nodes(api, cluster).values()]  # fmt: skip
    api.hear(OperationEnded(cluster_id=cluster, operation_id=operation, status="succeeded",
                            result={"version": 1, "nodes": [dump(one) for one in said]}))  # fmt: skip


def wanted(api: Api, cluster: str) -> dict[str, Any]:
    return {one["name"]: one["value"] for one in shown(api, cluster)["parameters"]}


def shown(api: Api, cluster: str) -> dict[str, Any]:
    return dict(api.get(f"/v1/clusters/{cluster}/parameters"))


def last_wish(api: Api) -> dict[str, Any]:
    return dict(json.loads(wished(api, "parameters.requested")[-1].body))


def test_a_change_is_an_operation_and_what_was_asked_is_in_the_next_answer(api: Api, shop: str) -> None:
    answer = asked(api, shop, {"work_mem": "8 mb", "autovacuum": False})
    assert (answer.status_code, answer.json["kind"]) == (202, "change_parameters")
    assert answer.headers["Location"] == f"/v1/operations/{answer.json['id']}"
    assert wanted(api, shop) == {"work_mem": "8MB", "autovacuum": "off"}
    assert (shown(api, shop)["state"], shown(api, shop)["version"]) == ("applying", 1)
    wish = last_wish(api)
    assert (wish["values"], wish["version"], wish["restart_now"]) == (
        {"work_mem": "8MB", "autovacuum": "off"},
        1,
        False,
    )
    assert asked(api, shop, {}).status_code == 409
    succeed(api, shop, answer.json["id"], work_mem="8192 live", autovacuum="off live")
    (vacuum, memory) = shown(api, shop)["parameters"]
    assert (memory["live"], memory["state"], memory["pending_restart"], memory["default"]) == (
        "8192",
        "live",
        False,
        "4096",
    )
    assert [one["name"] for one in vacuum["nodes"]] == ["shop-1", "shop-2", "shop-3"]
    assert shown(api, shop)["state"] == "applied"


def test_patch_changes_those_that_are_named_put_sets_all_and_null_is_the_default(api: Api, shop: str) -> None:
    changed(api, shop, {"work_mem": "8MB", "autovacuum": "no"})
    changed(api, shop, {"autovacuum": None, "wal_compression": "PGLZ"})
    assert wanted(api, shop) == {"work_mem": "8MB", "wal_compression": "pglz"}
    changed(api, shop, {"work_mem": 4096}, "PUT")
    assert wanted(api, shop) == {"work_mem": "4096"}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("work_mem", 1, "must be between 64 and 2147483647 (kB)"),
        ("work_mem", "8 apples", "must be a number (kB), also with kB, MB"),
        ("work_mem", "64.5", "must be a whole number (kB)"),
        ("autovacuum", "maybe", "must be on or off"),
        ("wal_compression", "zip", "must be one of pglz, off"),
        ("wal_compression", "pglz\nport = 1", "must be one line"),
        ("work_men", "8MB", "there is no such parameter; did you mean work_mem?"),
        ("archive_command", "true", "may not be changed: it would run a program"),
        ("archive_command", None, "may not be changed"),
        ("work_mem", ["8MB"], "must be a text, a number"),
        ("max_connections", 200, "ask with `?restart=now`"),
        ("some_password", "x", "is a secret by its name"),
    ],
)
def test_what_the_engine_would_not_take_is_refused_before_anything_is_touched(
    api: Api, shop: str, name: str, value: Any, reason: str
) -> None:
    for plan in ("", "?plan=true"):
        answer = asked(api, shop, {"shared_buffers": "64MB", name: value}, query=plan)
        assert answer.status_code == 422, answer.text
        (error,) = answer.json["errors"]
        assert name in error["field"]
        assert reason in error["reason"]
    assert wished(api, "parameters.requested") == []
    assert wanted(api, shop) == {}


def test_a_restart_at_once_is_asked_for_by_a_word(api: Api, shop: str) -> None:
    assert asked(api, shop, {"max_connections": 200}, query="?restart=later").status_code == 422
    changed(api, shop, {"max_connections": 200}, query="?restart=now", max_connections="200 live")
    assert last_wish(api)["restart_now"] is True


def test_what_waits_for_a_restart_is_shown_until_it_has_had_one(api: Api, shop: str) -> None:
    changed(api, shop, {"shared_buffers": "64MB"}, shared_buffers="16384 restart")
    changed(api, shop, {"shared_buffers": None}, shared_buffers="8192 restart")
    (waiting,) = shown(api, shop)["parameters"]
    assert (waiting["value"], waiting["live"], waiting["pending_restart"]) == (None, "8192", True)
    assert shown(api, shop)["pending_restart"] is True
    seen = tuple(NodeParameters(instance_id=one, live={"shared_buffers": "16384"}, states={"shared_buffers": "live"})
                 for one in nodes(api, shop).values())  # fmt: skip
    api.hear(databases.ParametersSeen(cluster_id=shop, nodes=seen))
    assert shown(api, shop)["parameters"] == []


def test_a_change_that_fails_leaves_what_was_and_can_be_tried_again(api: Api, shop: str) -> None:
    changed(api, shop, {"work_mem": "8MB"})
    operation = asked(api, shop, {"work_mem": "16MB"}).json["id"]
    failed = OperationEnded(cluster_id=shop, operation_id=operation, status="failed", result={"version": 2},
                            problem=Problem(step="try", message="shop-2 does not start", stderr="FATAL: no"))  # fmt: skip
    api.hear(failed)
    assert wanted(api, shop) == {"work_mem": "8MB"}
    assert api.operation(operation)["problem"]["stderr"] == "FATAL: no"
    assert api.ask("POST", f"/v1/operations/{operation}/retry", {}).status_code == 202
    assert wanted(api, shop) == {"work_mem": "16MB"}
    api.hear(OperationEnded(cluster_id=shop, operation_id=operation, status="cancelled", result={"version": 2}))
    assert wanted(api, shop) == {"work_mem": "8MB"}


def test_a_change_that_failed_is_not_tried_again_over_a_later_one(api: Api, shop: str) -> None:
    operation = asked(api, shop, {"work_mem": "16MB"}).json["id"]
    api.hear(OperationEnded(cluster_id=shop, operation_id=operation, status="failed", result={"version": 1}))
    changed(api, shop, {"work_mem": "8MB"})
    assert api.ask("POST", f"/v1/operations/{operation}/retry", {}).status_code == 409
    assert wanted(api, shop) == {"work_mem": "8MB"}


def test_the_history_says_who_changed_what_and_leads_back(api: Api, shop: str) -> None:
    changed(api, shop, {"work_mem": "8MB"})
    changed(api, shop, {"work_mem": "16MB", "autovacuum": "off"})
    second, first = api.get(f"/v1/clusters/{shop}/parameters/history")["versions"]
    assert (first["version"], second["version"], second["state"]) == (1, 2, "applied")
    assert second["changes"] == [
        {"name": "autovacuum", "before": None, "after": "off"},
        {"name": "work_mem", "before": "8MB", "after": "16MB"},
    ]
    assert second["author"]
    path = f"/v1/clusters/{shop}/parameters/rollback"
    assert api.ask("POST", path, {"version": 9}).status_code == 404
    back = api.ask("POST", path, {"version": 1})
    assert back.status_code == 202
    assert wanted(api, shop) == {"work_mem": "8MB"}
    succeed(api, shop, back.json["id"])
    assert api.ask("POST", path, {"version": 0}).status_code == 202
    assert wanted(api, shop) == {}


def test_the_same_again_is_an_operation_and_no_new_version(api: Api, shop: str) -> None:
    changed(api, shop, {"work_mem": "8MB"})
    changed(api, shop, {"work_mem": "8MB"})
    assert [one["version"] for one in api.get(f"/v1/clusters/{shop}/parameters/history")["versions"]] == [1]
    assert last_wish(api)["version"] == 1


def test_a_plan_changes_nothing_and_a_key_changes_once(api: Api, shop: str) -> None:
    plan = asked(api, shop, {"shared_buffers": "64MB"}, query="?plan=true&restart=now")
    assert (plan.status_code, plan.json["plan"]["restarts"]) == (200, [f"the engine of {shop}"])
    assert wanted(api, shop) == {}
    key = new_id()
    first, second = (asked(api, shop, {"work_mem": "8MB"}, key=key) for _ in range(2))
    assert first.json["id"] == second.json["id"]
    assert len(wished(api, "parameters.requested")) == 1


def test_whose_cluster_it_is_and_who_may_change_it(api: Api, shop: str) -> None:
    stranger = api.token("member", api.project())
    assert asked(api, shop, {"work_mem": "8MB"}, token=stranger).status_code == 404
    assert asked(api, shop, {"work_mem": "8MB"}, token=api.reader).status_code == 403
    for path in ("parameters", "parameters/history"):
        assert api.ask("GET", f"/v1/clusters/{shop}/{path}", token=stranger).status_code == 404
        assert api.ask("GET", f"/v1/clusters/{shop}/{path}", token=api.reader).status_code == 200


def test_a_datastore_shows_its_parameters_once_an_engine_has_said_them(api: Api, shop: str) -> None:
    by_name = {one["name"]: one["id"] for one in api.get("/v1/datastores")["datastores"]}
    told = api.get(f"/v1/datastores/{by_name['pgsql - 15']}/parameters")
    memory = next(one for one in told["parameters"] if one["name"] == "work_mem")
    assert told["engine"] == "15.7"
    assert (memory["type"], memory["unit"], memory["minimum"], memory["applies"]) == ("integer", "kB", "64", "live")
    refused = api.ask("GET", f"/v1/datastores/{by_name['redis - 7.0']}/parameters")
    assert refused.status_code == 409
    assert "not known yet" in refused.json["detail"]
    assert api.ask("GET", f"/v1/datastores/{new_id()}/parameters").status_code == 404


def test_a_cluster_is_born_with_parameters_that_are_checked_as_well(api: Api, shop: str) -> None:
    body = {"name": "born", "datastore": "pgsql 15", "size": 2}
    answer = api.ask("POST", "/v1/clusters", body | {"parameters": {"archive_command": "x", "work_mem": "8MB"}})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "parameters.archive_command")
    # Of an engine that nobody has asked, nothing can be checked.
    unknown = api.ask("POST", "/v1/clusters", body | {"datastore": "redis 7.0", "parameters": {"timeout": 5}})
    assert unknown.status_code == 409
    made, _ = api.create("born", size=2, parameters={"max_connections": 200})
    assert json.loads(wished(api, "cluster.requested")[-1].body)["parameters"] == {"max_connections": "200"}
    assert wanted(api, made) == {"max_connections": "200"}


def test_a_way_back_without_a_version_is_refused_by_its_field(api: Api, shop: str) -> None:
    answer = api.ask("POST", f"/v1/clusters/{shop}/parameters/rollback", {})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "version")
