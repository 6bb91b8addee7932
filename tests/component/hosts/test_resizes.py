"""Volumes that grow, in datastore_agentless's own tables, on both engines, over hosts in memory."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from services.datastore_agentless import actions, resize_plans
from services.datastore_agentless.store import catalogue, clusters, tables
from shared.contracts.api import ClusterResizeRequested
from shared.contracts.provisioner import InstanceResized, InstanceResizeFailed
from shared.contracts.values import Flavor, Problem
from shared.db import Database
from tests.component.hosts.fleet import Stage
from tests.component.hosts.wishes import manager_for

NAMES = ("c-0", "c-1", "c-2")
GROW, LOOK = "grow the file system at /data", "see how large the file system is"
WHY = Problem(
    step="extend_volume", host="c-1", message="the quota of the cloud is exhausted", what_to_do="ask for more"
)


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of three nodes with volumes that were only attached, which serves, and is to have larger ones."""
    made = Stage(database).serve()
    with database.write() as tx:
        tx.connection.execute(update(tables.instances).values(volume_device="/dev/vdb", data_dir="/data"))
    resize(made)
    return made


def resize(stage: Stage, operation: str = "move", volume_gb: int = 20) -> None:
    """The user wants volumes of this size."""
    event = ClusterResizeRequested(cluster_id="c", operation_id=operation, project_id="p", volume_gb=volume_gb)
    assert actions.request_resize(stage.database, event)
    stage.settle(5)


def extended(stage: Stage, *names: str, operation: str = "move", message: str = "") -> None:
    """The provider has made these larger."""
    for name in names:
        told = InstanceResized(instance_id=name, cluster_id="c", operation_id=operation, volume_gb=20, message=message)
        actions.size_changed(stage.database, told)


def plan_of(stage: Stage, volume_gb: int, flavor: Flavor | None) -> dict[str, Any]:
    """What a resize would do."""
    with stage.database.read() as connection:
        cluster = clusters.cluster(connection, "c")
        there, entry = clusters.instances(connection, "c"), catalogue.datastore(connection, cluster.datastore_id)
    return resize_plans.plan_resize(manager_for(entry), cluster, there, volume_gb, flavor)


def grown(stage: Stage) -> list[str]:
    return [name for name in NAMES if GROW in stage.fleet[name].told]


def test_file_systems_grow_once_the_provider_has_made_all_volumes_larger(stage: Stage) -> None:
    asked = stage.said("node.resize_requested", "move")
    assert {(one["instance_id"], one["volume_gb"]) for one in asked} == {(name, 20) for name in NAMES}
    extended(stage, "c-0", "c-2")
    stage.settle(5)
    assert grown(stage) == []
    began = [stage.fleet[name].began for name in NAMES]
    extended(stage, "c-1")
    stage.settle()
    assert grown(stage) == list(NAMES)
    (told,) = stage.said("cluster.resized", "move")
    assert told["volume_gb"] == stage.cluster().volume_gb == 20
    assert [(one["name"], one["file_system_bytes"]) for one in told["result"]["nodes"]] == [
        (name, 20 << 30) for name in NAMES
    ]
    assert stage.fleet.writers == ["c-0"]
    assert [stage.fleet[name].began for name in NAMES] == began, "no engine restarts for it"


def test_what_a_provider_mounts_by_itself_is_only_looked_at_and_what_it_says_of_it_is_told(stage: Stage) -> None:
    with stage.database.write() as tx:
        tx.connection.execute(update(tables.instances).values(volume_device=""))
    extended(stage, *NAMES, message="the volume is a plain folder, its size is not enforced")
    stage.settle()
    assert grown(stage) == []
    (told,) = stage.said("cluster.resized", "move")
    assert {one["message"] for one in told["result"]["nodes"]} == {
        "the volume is a plain folder, its size is not enforced"
    }
    plan = plan_of(stage, 30, None)
    assert [one["title"].partition(";")[0] for one in plan["hosts"][1]["commands"]] == [LOOK]
    assert plan["restarts"] == plan["lost"] == []


def test_a_volume_that_the_provider_does_not_make_larger_is_asked_for_again_by_a_retry(stage: Stage) -> None:
    extended(stage, "c-0", "c-2")
    failed = InstanceResizeFailed(instance_id="c-1", cluster_id="c", operation_id="move", problem=WHY)
    actions.size_changed(stage.database, failed)
    stage.settle()
    ended = stage.ended()
    assert (ended["status"], ended["problem"]["what_to_do"]) == ("failed", "ask for more")
    assert "the volume of c-1 does not grow: the quota" in ended["problem"]["message"]
    assert stage.cluster().volume_gb != 20
    before = len(stage.said("node.resize_requested"))
    stage.retry()
    assert [one["instance_id"] for one in stage.said("node.resize_requested")[before:]] == ["c-1"]
    extended(stage, "c-1")
    stage.settle()
    assert grown(stage) == list(NAMES)
    assert len(stage.said("cluster.resized", "move")) == 1


def test_a_size_that_was_wanted_before_another_one_is_not_gone_back_to(stage: Stage) -> None:
    stage.settle()
    resize(stage, "again", 10)
    extended(stage, *NAMES, operation="again")
    stage.settle()
    assert stage.cluster().volume_gb == 10
    stage.retry()
    stage.settle()
    assert "another size was asked for since" in stage.said("operation.ended", "move")[-1]["problem"]["message"]
    assert stage.cluster().volume_gb == 10


def test_a_provider_that_says_nothing_is_not_waited_for_for_ever_and_a_cancel_ends_the_waiting(stage: Stage) -> None:
    stage.settle()
    assert "gave up after 900 s" in stage.ended()["problem"]["message"]
    stage.retry()
    stage.settle(5)
    stage.cancel()
    stage.settle()
    assert [one["status"] for one in stage.said("operation.ended", "move")] == ["failed", "cancelled"]
