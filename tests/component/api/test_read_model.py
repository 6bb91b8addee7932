"""What is shown follows from what was said, not from the order in which it was heard."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.contracts import datastore_agentless as databases
from shared.contracts import provisioner
from shared.contracts.base import Event
from shared.contracts.operations import OperationProgressed
from shared.contracts.values import Address, Endpoint, Problem, TranscriptEntry
from tests.support.api import Api

NAMES = itertools.count()
PROBLEM = Problem(step="create_server", message="no host has room")
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def report(
    ids: dict[str, str], step: str, status: str, sequence: int, service: str = "provisioner"
) -> OperationProgressed:
    return OperationProgressed(**ids, service=service, kind="build", step=step, status=status, sequence=sequence,
                               host="n-1", message=f"{step} {status}")  # fmt: skip


def events_of_a_create(node: str, ids: dict[str, str]) -> list[Event]:
    """All that the services say while they make a cluster, its first server lost."""
    where = Address(host="10.0.0.7", port=5432)
    line = TranscriptEntry(sequence=1, host="n-1", command="id", started_at="2026-01-01T00:00:00Z", seconds=0.1)
    return [
        report(ids, "create_server", "running", 1),
        provisioner.InstanceFailed(instance_id=node, **ids, problem=PROBLEM),
        report(ids, "create_server", "failed", 2),
        report(ids, "create_server", "succeeded", 3),
        provisioner.InstanceActive(instance_id=node, **ids, server="s2", addr="10.0.0.7", user="root", host_key="k"),
        report(ids, "prepare", "running", 4, "datastore_agentless"),
        databases.TranscriptRecorded(**ids, entries=(line,)),
        report(ids, "prepare", "succeeded", 5, "datastore_agentless"),
        databases.NodeReady(instance_id=node, **ids),
        databases.ClusterActive(
            **ids, endpoint=Endpoint(primary=where, url="postgresql://dtrove@10.0.0.7:5432/postgres")
        ),
    ]


def state(api: Api, cluster: str, operation: str) -> dict[str, Any]:
    """What users see of a cluster and its operation, ids and times left out."""
    shown, ran = api.get(f"/v1/clusters/{cluster}"), api.operation(operation)
    node = api.get(f"/v1/instances/{shown['instances'][0]['id']}")
    return {
        "cluster": {name: shown[name] for name in ("status", "endpoint", "operation", "message")},
        "node": {name: node[name] for name in ("status", "addr", "server", "message")},
        "operation": {name: ran[name] for name in ("status", "problem", "percent")},
        "steps": sorted((step["step"], step["status"], step["message"]) for step in ran["steps"]),
        "transcript": api.get(f"/v1/operations/{operation}/transcript")["transcript"],
    }


def fresh(api: Api) -> tuple[str, str, str, dict[str, str]]:
    cluster, operation = api.create(f"c{next(NAMES)}")
    node = api.get(f"/v1/clusters/{cluster}")["instances"][0]["id"]
    return cluster, operation, node, {"cluster_id": cluster, "operation_id": operation}


@SLOW
@given(data=st.data())
def test_a_create_ends_the_same_whatever_the_order_and_however_often_each_event_comes(
    api: Api, data: st.DataObject
) -> None:
    cluster, operation, node, ids = fresh(api)
    in_order = events_of_a_create(node, ids)
    api.hear(*in_order)
    wanted = state(api, cluster, operation)
    assert (wanted["cluster"]["status"], wanted["node"]["status"], wanted["operation"]["status"]) == (
        "active", "active", "succeeded",
    )  # fmt: skip
    cluster, operation, node, ids = fresh(api)
    events = events_of_a_create(node, ids)
    again = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=4))
    order = data.draw(st.permutations([*range(len(events)), *again]))
    api.hear(*(events[number] for number in order))
    assert state(api, cluster, operation) == wanted


@SLOW
@given(data=st.data())
def test_a_delete_ends_the_same_whatever_is_heard_after_or_before_it(api: Api, data: st.DataObject) -> None:
    cluster, operation, node, ids = fresh(api)
    delete = api.ask("DELETE", f"/v1/clusters/{cluster}").headers["location"].rpartition("/")[2]
    ending = {"cluster_id": cluster, "operation_id": delete}
    events = [
        *events_of_a_create(node, ids),
        report(ending, "destroy", "running", 6),
        report(ending, "destroy", "succeeded", 7),
        provisioner.InstanceDeleted(instance_id=node, **ending),
        databases.ClusterDeleted(**ending),
    ]
    api.hear(*data.draw(st.permutations(events)))
    assert api.ask("GET", f"/v1/clusters/{cluster}").status_code == 404
    assert api.ask("GET", f"/v1/instances/{node}").status_code == 404
    assert api.operation(operation)["status"] == "cancelled"
    assert api.operation(delete)["status"] == "succeeded"


def test_the_end_of_a_cluster_ends_every_wish_to_delete_it_whichever_it_names(api: Api) -> None:
    cluster, _, node, _ = fresh(api)

    def delete() -> str:
        return str(api.ask("DELETE", f"/v1/clusters/{cluster}").headers["location"].rpartition("/")[2])

    first = delete()
    ids = {"cluster_id": cluster, "operation_id": first}
    api.hear(provisioner.InstanceFailed(instance_id=node, **ids, problem=Problem(step="destroy", message="no")))
    second = delete()
    assert second != first
    api.hear(databases.ClusterDeleted(**ids))
    assert (api.operation(first)["status"], api.operation(second)["status"]) == ("failed", "succeeded")


def test_a_create_that_was_given_up_does_not_succeed_because_its_cluster_was_ready_a_moment_before(api: Api) -> None:
    _, operation, node, ids = fresh(api)
    assert api.ask("POST", f"/v1/operations/{operation}/cancel").status_code == 202
    api.hear(*events_of_a_create(node, ids))
    assert api.operation(operation)["status"] == "cancelling"
    api.hear(databases.ClusterDeleted(**ids))
    assert api.operation(operation)["status"] == "cancelled"


def test_output_stands_in_the_order_in_which_it_was_printed_whatever_is_heard_first(api: Api) -> None:
    _, operation, _, ids = fresh(api)
    pieces = {3: "three\n", 1: "one\n", 2: "two\n", 4: "four\n"}
    api.hear(*(replace(report(ids, "run", "running", number), output=text) for number, text in pieces.items()))
    assert api.operation(operation)["output"] == "one\ntwo\nthree\nfour\n"


def test_an_older_report_never_overwrites_a_newer_one(api: Api) -> None:
    _, operation, _, ids = fresh(api)
    api.hear(report(ids, "destroy", "succeeded", 9), report(ids, "destroy", "running", 8))
    (step,) = api.operation(operation)["steps"]
    assert step["status"] == "succeeded"


def test_work_that_a_service_began_by_itself_becomes_an_operation(api: Api) -> None:
    cluster, _, _, _ = fresh(api)
    ids = {"cluster_id": cluster, "operation_id": "6f811716-0744-413b-ad49-f0107806eb37"}
    api.hear(report(ids, "probe", "running", 1))
    assert api.operation(ids["operation_id"])["status"] == "running"


def test_events_of_clusters_that_nobody_knows_change_nothing(api: Api) -> None:
    ids = {"cluster_id": "6f811716-0744-413b-ad49-f0107806eb37", "operation_id": "6f811716-0744-413b-ad49-f0107806eb38"}
    api.hear(*events_of_a_create("6f811716-0744-413b-ad49-f0107806eb39", ids))
    assert api.rows("clusters") == api.rows("operations") == api.rows("events") == []
