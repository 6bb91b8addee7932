"""Servers that are switched off and on, another primary, and what DTrove begins of itself: shown alike in whatever order heard."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.contracts.base import Event, new_id
from shared.contracts.operations import OperationBegun, OperationEnded, OperationProgressed
from shared.contracts.values import Address, Endpoint, Problem
from tests.support.api import Api

NAMES = itertools.count()
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PROBLEM = Problem(step="see_off", message="the server of shop-1 is not fenced: the provider says ACTIVE")
SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def endpoint(host: str) -> Endpoint:
    return Endpoint(primary=Address(host=host, port=5432), url=f"postgresql://dtrove@{host}:5432/postgres")


def serving(api: Api) -> tuple[str, list[str]]:
    """A cluster of two nodes that serves: its id and theirs, the primary's first."""
    cluster, operation = api.create(f"p{next(NAMES)}", size=2)
    nodes = [one["id"] for one in api.get(f"/v1/clusters/{cluster}")["instances"]]
    ids: dict[str, Any] = {"cluster_id": cluster, "operation_id": operation, "occurred_at": BEGAN}
    for node in nodes:
        api.hear(
            provisioner.InstanceActive(instance_id=node, **ids, server="s", addr="10.0.0.1", user="root", host_key="k"),
            databases.NodeReady(instance_id=node, **ids),
        )
    api.hear(databases.ClusterActive(**ids, endpoint=endpoint("10.0.0.1"), primary_id=nodes[0]))
    return cluster, nodes


def failover(cluster: str, nodes: list[str], operation: str) -> list[Event]:
    """What the services say while a primary is replaced and comes back as a replica."""
    ids: dict[str, Any] = {"cluster_id": cluster, "operation_id": operation}
    return [
        OperationBegun(**ids, occurred_at=after(1), project_id="p", kind="failover", message="the primary is away"),
        OperationProgressed(**ids, occurred_at=after(2), service="provisioner", kind="fence_instance", step="power_off",
                            status="succeeded", sequence=1, host="shop-1"),
        provisioner.InstanceFenced(instance_id=nodes[0], **ids, occurred_at=after(3), server_status="SHUTOFF"),
        databases.PrimaryChanged(**ids, occurred_at=after(4), primary_id=nodes[1], former_id=nodes[0],
                                 endpoint=endpoint("10.0.0.2")),
        provisioner.InstancePowered(instance_id=nodes[0], **ids, occurred_at=after(5), addr="10.0.0.9"),
        databases.NodeReady(instance_id=nodes[0], **ids, occurred_at=after(6)),
        OperationEnded(**ids, occurred_at=after(7), status="succeeded", result={"evidence": {"received": 7}}),
    ]  # fmt: skip


def shown(api: Api, cluster: str, operation: str) -> dict[str, Any]:
    there, ran = api.get(f"/v1/clusters/{cluster}"), api.operation(operation)
    return {
        "status": there["status"], "primary": there["endpoint"]["primary"]["host"],
        "nodes": [(one["status"], one["role"], one["addr"]) for one in there["instances"]],
        "operation": (ran["kind"], ran["status"], ran["result"], ran["problem"]),
    }  # fmt: skip


@SLOW
@given(data=st.data())
def test_a_failover_ends_the_same_whatever_the_order_in_which_it_is_heard(api: Api, data: st.DataObject) -> None:
    cluster, nodes = serving(api)
    operation = new_id()
    events = failover(cluster, nodes, operation)
    again = data.draw(st.lists(st.sampled_from(events), max_size=3))
    api.hear(*data.draw(st.permutations([*events, *again])))
    assert shown(api, cluster, operation) == {
        "status": "active", "primary": "10.0.0.2",
        "nodes": [("active", "replica", "10.0.0.9"), ("active", "primary", "10.0.0.1")],
        "operation": ("failover", "succeeded", {"evidence": {"received": 7}}, None),
    }  # fmt: skip


def test_a_node_whose_server_is_off_is_shown_off_and_is_not_active_before_its_database_answers(api: Api) -> None:
    cluster, nodes = serving(api)

    def status() -> str:
        return str(api.get(f"/v1/instances/{nodes[0]}")["status"])

    _, _, fenced, _, powered, ready, _ = failover(cluster, nodes, new_id())
    seen = [status()]
    for event in (fenced, powered, ready):
        api.hear(event)
        seen.append(status())
    assert seen == ["active", "off", "building", "active"]


def test_a_server_that_could_not_be_switched_keeps_its_state_and_says_why(api: Api) -> None:
    cluster, nodes = serving(api)
    api.hear(provisioner.InstancePowerFailed(instance_id=nodes[0], cluster_id=cluster, operation_id=new_id(), wanted="off",
                                             problem=PROBLEM))  # fmt: skip
    node = api.get(f"/v1/instances/{nodes[0]}")
    assert (node["status"], node["message"]) == ("active", PROBLEM.message)


def test_a_node_on_its_way_out_stays_so_when_its_server_is_switched_off(api: Api) -> None:
    cluster, nodes = serving(api)
    assert api.ask("DELETE", f"/v1/clusters/{cluster}/nodes/{nodes[1]}").status_code == 202
    api.hear(provisioner.InstanceFenced(instance_id=nodes[1], cluster_id=cluster, operation_id=new_id(),
                                        server_status="SHUTOFF"))  # fmt: skip
    assert api.get(f"/v1/instances/{nodes[1]}")["status"] == "deleting"


def test_the_newest_primary_counts_whichever_is_heard_last(api: Api) -> None:
    cluster, nodes = serving(api)
    there, back = (
        databases.PrimaryChanged(cluster_id=cluster, operation_id=new_id(), occurred_at=after(number), primary_id=one,
                                 former_id=other, endpoint=endpoint(f"10.0.0.{number}"))
        for number, (one, other) in enumerate((reversed(nodes), nodes), 2)
    )  # fmt: skip
    api.hear(back, there)
    seen = api.get(f"/v1/clusters/{cluster}")
    assert seen["endpoint"]["primary"]["host"] == "10.0.0.3"
    assert [one["role"] for one in seen["instances"]] == ["primary", "replica"]


def test_a_cluster_on_its_way_out_gets_no_other_primary(api: Api) -> None:
    cluster, nodes = serving(api)
    assert api.ask("DELETE", f"/v1/clusters/{cluster}").status_code == 202
    before = api.rows("clusters")
    api.hear(databases.PrimaryChanged(cluster_id=cluster, operation_id=new_id(), primary_id=nodes[1], former_id=nodes[0],
                                      endpoint=endpoint("10.0.0.2")))  # fmt: skip
    assert api.rows("clusters") == before


def test_what_dtrove_does_of_itself_keeps_users_from_changing_the_cluster_until_it_has_ended(api: Api) -> None:
    cluster, _ = serving(api)
    ids = {"cluster_id": cluster, "operation_id": new_id()}
    api.hear(OperationBegun(**ids, project_id="p", kind="failover"))
    assert api.ask("POST", f"/v1/clusters/{cluster}/nodes", {"count": 1}).status_code == 409
    api.hear(OperationEnded(**ids, status="failed", problem=PROBLEM))
    assert api.operation(ids["operation_id"])["problem"]["message"] == PROBLEM.message
    assert api.ask("POST", f"/v1/clusters/{cluster}/nodes", {"count": 1}).status_code == 202


def test_what_dtrove_begins_beside_an_operation_of_a_user_is_shown_as_well(api: Api) -> None:
    cluster, _ = serving(api)
    assert api.ask("POST", f"/v1/clusters/{cluster}/nodes", {"count": 1}).status_code == 202
    operation = new_id()
    api.hear(OperationBegun(cluster_id=cluster, operation_id=operation, project_id="p", kind="failover"))
    assert (api.operation(operation)["kind"], api.operation(operation)["status"]) == ("failover", "pending")


@pytest.mark.parametrize("begins", [True, False])
def test_an_operation_on_a_cluster_that_nobody_knows_is_nobodys(api: Api, begins: bool) -> None:
    ids = {"cluster_id": new_id(), "operation_id": new_id()}
    event = OperationBegun(**ids, project_id="p", kind="failover") if begins else OperationEnded(**ids, status="failed")
    api.hear(event)
    assert api.rows("operations") == []
