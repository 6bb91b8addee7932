"""Servers for nodes that a cluster gets later, and the end of those that it does without."""

from __future__ import annotations

from services.provisioner import actions
from services.provisioner.domain.instance import Status
from services.provisioner.store import instances
from shared.contracts.api import NodesRequested
from shared.contracts.datastore_agentless import NodeReleased
from shared.contracts.values import DatastoreRef, InstanceRef, Topology
from tests.unit.services.provisioner.conftest import CLUSTER, INSTANCE, SMALL, Rig

ANOTHER = "22222222-2222-4333-8444-555555555555"


def request(rig: Rig) -> None:
    wish = NodesRequested(
        cluster_id=CLUSTER, operation_id="o-add", project_id="p", flavor=SMALL, topology=Topology(mode="async"),
        datastore=DatastoreRef(id="d", manager="pgsql", version="15", image="debian"),
        instances=(InstanceRef(id=ANOTHER, name="shop-2"),),
    )  # fmt: skip
    actions.request_instances(rig.database, wish)


def release(rig: Rig, instance: str = ANOTHER) -> None:
    event = NodeReleased(instance_id=instance, cluster_id=CLUSTER, operation_id="o-remove", project_id="p")
    actions.delete_instance(rig.database, event)


def status(rig: Rig, instance: str = ANOTHER) -> Status:
    with rig.database.read() as connection:
        return instances.get(connection, instance).status


def test_a_node_that_is_added_gets_a_server_beside_those_that_are_there(rig: Rig) -> None:
    rig.request()
    rig.run()
    request(rig)
    rig.run()
    assert {one.instance_id for one in rig.cloud.servers()} == {INSTANCE, ANOTHER}
    assert [one["operation_id"] for one in rig.said("instance.active")] == ["o-create", "o-add"]


def test_a_node_that_is_released_loses_its_server_alone(rig: Rig) -> None:
    rig.request()
    request(rig)
    rig.run()
    release(rig)
    rig.run()
    assert [one.instance_id for one in rig.cloud.servers()] == [INSTANCE]
    (gone,) = rig.said("instance.deleted")
    assert (gone["instance_id"], gone["operation_id"]) == (ANOTHER, "o-remove")


def test_a_server_that_is_being_built_for_a_released_node_is_not_finished(rig: Rig) -> None:
    request(rig)
    rig.run(until=lambda: bool(rig.cloud.servers()))
    release(rig)
    rig.run()
    assert rig.cloud.servers() == []
    assert status(rig) == Status.DELETED
    assert rig.said("instance.active") == []


def test_a_node_that_is_released_before_it_is_heard_of_is_never_built(rig: Rig) -> None:
    release(rig)
    request(rig)
    rig.run()
    assert rig.cloud.servers() == []
    assert [one["instance_id"] for one in rig.said("instance.deleted")] == [ANOTHER]


def test_a_release_that_is_said_twice_is_answered_twice_and_done_once(rig: Rig) -> None:
    request(rig)
    rig.run()
    for _ in range(2):
        release(rig)
        rig.run()
    assert [one["instance_id"] for one in rig.said("instance.deleted")] == [ANOTHER, ANOTHER]
