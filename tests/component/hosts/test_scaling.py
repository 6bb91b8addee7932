"""Nodes that come to a cluster which serves, and that leave it, in datastore_agentless's own tables, on both engines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.datastores.pgsql.topology import StreamingReplication
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.instance import Instance, Status
from services.datastore_agentless.store import clusters
from shared.contracts.api import OperationRetryRequested
from shared.contracts.provisioner import InstanceFailed
from shared.contracts.values import Problem
from shared.db import Database
from shared.engine import StepEngine
from shared.errors import Failure
from shared.secrets import Secret
from tests.component.hosts.wishes import admin_user, cluster_status, gone, goodbye, less, more, said, up, wish, work


@pytest.fixture
def pair(database: Database, engine: StepEngine) -> Database:
    """A cluster of a primary and one replica, which serves."""
    actions.expect_cluster(database, wish(nodes=2), admin_user)
    actions.issue_key(database, "c")
    for node in ("c-0", "c-1"):
        actions.prepare_node(database, up(node))
    work(engine)
    assert cluster_status(database) == ClusterStatus.ACTIVE
    return database


def comes_up(node: str, operation: str = "add") -> Any:
    return replace(up(node), operation_id=operation)


def status_of(database: Database, node: str) -> Status:
    with database.read() as connection:
        return clusters.instance(connection, node).status


def places(event: dict[str, Any]) -> list[str]:
    endpoint = event["endpoint"]
    return [one["host"] for one in (endpoint["primary"], *endpoint["replicas"])]


def test_nodes_that_are_added_serve_once_the_last_of_them_follows(pair: Database, engine: StepEngine) -> None:
    assert actions.expect_nodes(pair, more("c-2", "c-3"))
    actions.prepare_node(pair, comes_up("c-2"))
    work(engine)
    assert len(said(pair, "cluster.active")) == 1
    actions.prepare_node(pair, comes_up("c-3"))
    work(engine)
    _, active = said(pair, "cluster.active")
    assert active["operation_id"] == "add"
    assert places(active) == [f"sim-c-{number}.invalid" for number in range(4)]


def copied_from(database: Database, node: str) -> list[str]:
    """Whose data a node has copied, by its transcript."""
    entries = [entry for event in said(database, "transcript.recorded") for entry in event["entries"]]
    words = "copy the data of "
    return [
        one["title"].removeprefix(words) for one in entries if one["host"] == node and one["title"].startswith(words)
    ]


def test_a_new_node_copies_the_data_of_a_replica_that_has_them_and_else_of_the_primary(
    pair: Database, engine: StepEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lends_not(*_: Any) -> Any:
        yield from ()
        return False

    assert copied_from(pair, "c-1") == ["c-0"]
    actions.expect_nodes(pair, more("c-2"))
    actions.prepare_node(pair, comes_up("c-2"))
    work(engine)
    assert copied_from(pair, "c-2") == ["c-1"]
    monkeypatch.setattr(StreamingReplication, "lends", lends_not)
    actions.expect_nodes(pair, replace(more("c-3"), operation_id="once more"))
    actions.prepare_node(pair, comes_up("c-3", "once more"))
    work(engine)
    assert copied_from(pair, "c-3") == ["c-0"]


def test_a_cluster_of_one_node_grows_by_its_first_replica(database: Database, engine: StepEngine) -> None:
    actions.expect_cluster(database, wish(), admin_user)
    actions.issue_key(database, "c")
    actions.prepare_node(database, up("c-0"))
    work(engine)
    actions.expect_nodes(database, more("c-1", mode="sync"))
    actions.prepare_node(database, comes_up("c-1"))
    work(engine)
    with database.read() as connection:
        cluster = clusters.cluster(connection, "c")
    assert (cluster.primary_id, cluster.mode) == ("c-0", "sync")
    assert places(said(database, "cluster.active")[-1]) == ["sim-c-0.invalid", "sim-c-1.invalid"]


def test_a_cluster_of_an_older_release_grows_as_well(database: Database, engine: StepEngine) -> None:
    actions.expect_cluster(database, wish(), admin_user)
    actions.issue_key(database, "c")
    actions.prepare_node(database, up("c-0"))
    work(engine)
    with database.write() as tx:
        old = clusters.cluster(tx.connection, "c")
        old.primary_id, old.replication_password = "", Secret("")
        clusters.save_cluster(tx, old)
    actions.expect_nodes(database, more("c-1"))
    with database.read() as connection:
        cluster = clusters.cluster(connection, "c")
    assert cluster.primary_id == "c-0"
    assert len(cluster.replication_password.reveal()) == 24
    actions.prepare_node(database, comes_up("c-1"))
    work(engine)
    assert places(said(database, "cluster.active")[-1]) == ["sim-c-0.invalid", "sim-c-1.invalid"]


def test_a_server_that_comes_up_before_its_node_is_known_waits_for_it(pair: Database, engine: StepEngine) -> None:
    assert not actions.prepare_node(pair, comes_up("c-2"))
    actions.expect_nodes(pair, more("c-2"))
    assert actions.prepare_node(pair, comes_up("c-2"))
    work(engine)
    assert status_of(pair, "c-2") == Status.READY


def test_a_node_that_cannot_be_added_leaves_the_cluster_serving_and_a_retry_goes_on(
    pair: Database, engine: StepEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> Any:
        raise Failure("the disk is full", what_to_do="make room")

    actions.expect_nodes(pair, more("c-2"))
    with monkeypatch.context() as patched:
        patched.setattr(StreamingReplication, "join", refused)
        actions.prepare_node(pair, comes_up("c-2"))
        work(engine)
    (failed,) = said(pair, "nodes.failed")
    assert (failed["operation_id"], failed["problem"]["step"]) == ("add", "join")
    assert said(pair, "cluster.failed") == []
    assert cluster_status(pair) == ClusterStatus.ACTIVE
    actions.retry_operation(pair, OperationRetryRequested(operation_id="add", cluster_id="c"))
    work(engine)
    assert places(said(pair, "cluster.active")[-1])[-1] == "sim-c-2.invalid"


def test_a_server_that_cannot_be_had_for_a_new_node_leaves_the_cluster_serving(pair: Database) -> None:
    actions.expect_nodes(pair, more("c-2"))
    problem = Problem(step="create_server", message="the quota is used up")
    actions.fail_cluster(pair, InstanceFailed(instance_id="c-2", cluster_id="c", operation_id="add", problem=problem))
    assert cluster_status(pair) == ClusterStatus.ACTIVE
    assert status_of(pair, "c-2") == Status.FAILED
    (failed,) = said(pair, "nodes.failed")
    assert failed["problem"]["message"] == "the quota is used up"


def test_a_replica_leaves_before_its_server_goes_and_nothing_is_kept_for_it_after(
    pair: Database, engine: StepEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str, list[str]]] = []
    protect, dismiss = StreamingReplication.protect, StreamingReplication.dismiss

    def protecting(self: Any, primary: Instance, replicas: Any, mode: str) -> Any:
        told.append(("protect", primary.id, [one.id for one in replicas]))
        return protect(self, primary, replicas, mode)

    def dismissing(self: Any, primary: Instance, replica: Instance) -> Any:
        told.append(("dismiss", primary.id, [replica.id]))
        return dismiss(self, primary, replica)

    monkeypatch.setattr(StreamingReplication, "protect", protecting)
    monkeypatch.setattr(StreamingReplication, "dismiss", dismissing)
    actions.remove_nodes(pair, less("c-1"))
    work(engine)
    (released,) = said(pair, "node.released")
    assert (released["instance_id"], released["operation_id"], released["project_id"]) == ("c-1", "remove", "p")
    assert said(pair, "nodes.removed") == []
    actions.forget_instance(pair, gone("c-1", operation="remove"))
    work(engine)
    assert told == [("protect", "c-0", []), ("dismiss", "c-0", ["c-1"])]
    (removed,) = said(pair, "nodes.removed")
    assert (removed["operation_id"], removed["instance_ids"]) == ("remove", ["c-1"])
    assert places(removed) == ["sim-c-0.invalid"]
    assert cluster_status(pair) == ClusterStatus.ACTIVE


def test_the_primary_does_not_leave(pair: Database, engine: StepEngine) -> None:
    actions.remove_nodes(pair, less("c-0"))
    work(engine)
    assert status_of(pair, "c-0") == Status.READY
    assert said(pair, "node.released") == []
    (failed,) = said(pair, "nodes.failed")
    assert "is the primary" in failed["problem"]["message"]


def test_a_removal_that_has_failed_is_done_by_the_next_one(pair: Database, engine: StepEngine) -> None:
    actions.remove_nodes(pair, less("c-1", operation="first"))
    work(engine)
    # Its server could not be deleted; then, under the next operation, the first one's deletion comes about.
    problem = Problem(step="destroy", message="the cloud is away")
    actions.fail_cluster(pair, InstanceFailed(instance_id="c-1", cluster_id="c", operation_id="first", problem=problem))
    actions.remove_nodes(pair, less("c-1", operation="second"))
    work(engine)
    assert [one["operation_id"] for one in said(pair, "node.released")] == ["first", "second"]
    actions.forget_instance(pair, gone("c-1", operation="first"))
    work(engine)
    assert [one["operation_id"] for one in said(pair, "nodes.removed")] == ["second"]


def test_the_removal_of_a_node_that_is_gone_ends_at_once(pair: Database, engine: StepEngine) -> None:
    actions.remove_nodes(pair, less("c-1", operation="first"))
    actions.forget_instance(pair, gone("c-1", operation="first"))
    work(engine)
    actions.remove_nodes(pair, less("c-1", operation="second"))
    work(engine)
    assert [one["operation_id"] for one in said(pair, "nodes.removed")] == ["first", "second"]


def test_nodes_that_are_taken_back_before_they_are_heard_of_never_come(pair: Database, engine: StepEngine) -> None:
    actions.remove_nodes(pair, less("c-2", "c-3", operation="add"))
    actions.expect_nodes(pair, more("c-2", "c-3"))
    work(engine)
    assert [one["instance_id"] for one in said(pair, "node.released")] == ["c-2", "c-3"]
    actions.prepare_node(pair, comes_up("c-2"))
    for node in ("c-2", "c-3"):
        actions.forget_instance(pair, gone(node, operation="add"))
    work(engine)
    (removed,) = said(pair, "nodes.removed")
    assert sorted(removed["instance_ids"]) == ["c-2", "c-3"]
    assert len(said(pair, "cluster.active")) == 1


def test_work_on_a_node_that_is_taken_back_stops(pair: Database, engine: StepEngine) -> None:
    actions.expect_nodes(pair, more("c-2"))
    actions.prepare_node(pair, comes_up("c-2"))
    actions.remove_nodes(pair, less("c-2", operation="add"))
    work(engine)
    assert status_of(pair, "c-2") == Status.LEAVING
    assert said(pair, "nodes.failed") == []
    assert [one["instance_id"] for one in said(pair, "node.ready")] == ["c-0", "c-1"]


def test_a_cluster_that_is_deleted_while_a_node_leaves_goes_whole(pair: Database, engine: StepEngine) -> None:
    actions.remove_nodes(pair, less("c-1"))
    actions.release_cluster(pair, goodbye(nodes=2))
    work(engine)
    for node in ("c-0", "c-1"):
        actions.forget_instance(pair, gone(node))
    work(engine)
    assert cluster_status(pair) == ClusterStatus.DELETED
    assert said(pair, "nodes.removed") == []


def test_nodes_are_neither_expected_nor_waited_for_in_a_cluster_that_goes(pair: Database, engine: StepEngine) -> None:
    actions.release_cluster(pair, goodbye(nodes=2))
    assert actions.expect_nodes(pair, more("c-2"))
    assert actions.prepare_node(pair, comes_up("c-2"))
    for node in ("c-0", "c-1", "c-2"):
        actions.forget_instance(pair, gone(node))
    work(engine)
    assert cluster_status(pair) == ClusterStatus.DELETED
