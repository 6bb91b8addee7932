"""Servers that become others, in datastore_agentless's own tables, on both engines, over hosts in memory."""

from __future__ import annotations

import pytest

from services.datastore_agentless import actions
from shared.contracts.api import ClusterResizeRequested
from shared.contracts.provisioner import InstanceResized, InstanceResizeFailed
from shared.contracts.values import Flavor, Problem
from shared.db import Database
from tests.component.hosts.fleet import Stage
from tests.component.hosts.test_resizes import extended, plan_of

NAMES = ("c-0", "c-1", "c-2")
TINY, LARGE, SMALL = (
    Flavor(id=f"{number}", name=name, vcpus=1, ram_mb=ram_mb, disk_gb=5)
    for number, (name, ram_mb) in enumerate((("tiny", 512), ("large", 4096), ("small", 256)))
)
CONFIGURATION = "/etc/postgresql/15/main/conf.d/dtrove.conf"
WHY = Problem(step="resize_server", host="c-1", message="no compute host has room", what_to_do="choose a smaller one")


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of three nodes of 512 MB, which serves."""
    return Stage(database).serve()


def resize(stage: Stage, flavor: Flavor, operation: str = "move", volume_gb: int = 0) -> None:
    """The user wants servers of this flavor."""
    event = ClusterResizeRequested(cluster_id="c", operation_id=operation, project_id="p", volume_gb=volume_gb, flavor=flavor,
                                   former=TINY.id)  # fmt: skip
    assert actions.request_resize(stage.database, event)
    stage.settle(5)


def become(stage: Stage, name: str, flavor: Flavor, operation: str = "move") -> None:
    """The provider has made a server one of this flavor, which has started it anew."""
    stage.fleet[name].runs = False
    told = InstanceResized(
        instance_id=name, cluster_id="c", operation_id=operation, flavor=flavor, addr=f"sim-{name}.invalid"
    )
    actions.size_changed(stage.database, told)
    stage.settle(5)


def asked(stage: Stage, operation: str = "move") -> list[str]:
    """Whose servers were asked for, in order."""
    return [one["instance_id"] for one in stage.said("node.resize_requested", operation) if one["flavor"]]


def buffers(stage: Stage, name: str) -> str:
    """What the engine of a node may take of its memory."""
    text = str(stage.hosts.simulated.host(f"sim-{name}.invalid").files[CONFIGURATION].content)
    return next(line.partition("'")[2].rstrip("'") for line in text.splitlines() if line.startswith("shared_buffers"))


def test_replicas_become_larger_first_one_of_them_takes_over_and_the_former_primary_comes_last(stage: Stage) -> None:
    before = {name: stage.fleet[name].began for name in NAMES}
    resize(stage, LARGE)
    for name in ("c-1", "c-2", "c-0"):
        assert asked(stage)[-1] == name
        assert not stage.fleet[name].runs
        assert buffers(stage, name) == "128MB", "it starts on either server"
        assert len(stage.fleet.writers) == 1
        become(stage, name, LARGE)
        assert (stage.fleet[name].runs, buffers(stage, name)) == (True, "1024MB")
    assert (stage.fleet.writers, asked(stage)) == (["c-1"], ["c-1", "c-2", "c-0"])
    (told,) = stage.said("cluster.resized", "move")
    assert (told["flavor"]["name"], told["result"]["primary"]["id"]) == ("large", "c-1")
    assert (stage.cluster().ram_mb, stage.instance("c-2").ram_mb) == (4096, 4096)
    assert all(stage.fleet[name].began > before[name] for name in NAMES)
    assert stage.said("operation.ended", "move") == []


def test_a_server_that_becomes_smaller_is_told_to_take_less_before_it_does(stage: Stage) -> None:
    resize(stage, SMALL)
    assert (asked(stage), buffers(stage, "c-1"), buffers(stage, "c-2")) == (["c-1"], "64MB", "128MB")


def test_a_provider_that_cannot_leaves_the_engine_running_and_a_retry_or_a_way_back_spares_whom_it_can(
    stage: Stage,
) -> None:
    resize(stage, LARGE)
    become(stage, "c-1", LARGE)
    refused = InstanceResizeFailed(instance_id="c-2", cluster_id="c", operation_id="move", problem=WHY, flavor=LARGE)
    actions.size_changed(stage.database, refused)
    stage.settle()
    ended = stage.ended()
    assert (ended["status"], ended["problem"]["what_to_do"]) == ("failed", "choose a smaller one")
    assert "c-2 does not become a large: no compute host" in ended["problem"]["message"]
    assert [stage.fleet[name].runs for name in NAMES] == [True] * 3
    assert (stage.fleet.writers, buffers(stage, "c-2"), stage.cluster().ram_mb) == (["c-0"], "128MB", 512)
    stage.retry()
    stage.settle(5)
    assert asked(stage) == ["c-1", "c-2", "c-2"]
    actions.size_changed(stage.database, InstanceResizeFailed(instance_id="c-2", cluster_id="c", operation_id="move",
                                                              problem=WHY, flavor=LARGE))  # fmt: skip
    stage.settle()
    resize(stage, TINY, "back")
    for name in ("c-1", "c-2"):
        become(stage, name, TINY, "back")
    assert asked(stage, "back") == ["c-1", "c-2"], "the primary is what it was; of the one that has failed nobody knows"
    assert (stage.fleet.writers, stage.said("primary.changed")) == (["c-0"], [])
    assert stage.said("cluster.resized", "back")[0]["flavor"]["name"] == "tiny"


def test_a_cancel_has_the_node_in_hand_run_and_what_the_provider_says_later_is_kept(stage: Stage) -> None:
    resize(stage, LARGE)
    stage.cancel()
    stage.settle()
    assert (stage.ended()["status"], stage.fleet["c-1"].runs, stage.fleet.writers) == ("cancelled", True, ["c-0"])
    become(stage, "c-1", LARGE)
    assert (stage.instance("c-1").ram_mb, stage.instance("c-2").ram_mb) == (4096, 512)


def test_volumes_grow_before_servers_change_and_both_are_one_operation(stage: Stage) -> None:
    resize(stage, LARGE, volume_gb=20)
    assert asked(stage) == []
    extended(stage, *NAMES)
    stage.settle(5)
    assert [one["volume_gb"] for one in stage.said("cluster.resized")] == [20]
    for name in ("c-1", "c-2", "c-0"):
        become(stage, name, LARGE)
    told = stage.said("cluster.resized")
    assert [(one["operation_id"], one["volume_gb"]) for one in told] == [("", 20), ("move", 20)]


def test_a_plan_shows_each_node_in_its_turn_and_what_its_server_becomes(stage: Stage) -> None:
    plan = plan_of(stage, 0, LARGE)
    assert plan["restarts"] == [
        f"server {name}: becomes a large, pgsql is stopped meanwhile" for name in ("c-1", "c-2", "c-0")
    ]
    titles = [one["title"] for one in plan["hosts"][0]["commands"]]
    assert titles.index("have it only read from its next start") < titles.index("start postgresql")
    assert any("1024MB" in one["diff"] for one in plan["hosts"][0]["files"])
    assert asked(stage) == []
