"""Clusters started, stopped, restarted and resized on the command line."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from client.exits import Exit
from shared.contracts.base import Event
from shared.contracts.datastore_agentless import ClusterResized, ClusterRestarted, ClusterStarted, ClusterStopped
from tests.unit.client.conftest import Done
from tests.unit.client.test_cli_takeovers import Others, others
from tests.unit.client.world import World

Dtrove = Callable[..., Done]
ENDS: dict[str, type[Any]] = {"start": ClusterStarted, "stop": ClusterStopped, "restart": ClusterRestarted}
__all__ = ["others"]


@pytest.fixture
def wishes(world: World, others: Others) -> list[Any]:
    """What the others were asked, who do it at once."""
    heard: list[Any] = []

    def answer(kind: str, wish: Any) -> list[Event]:
        heard.append(wish)
        return [ENDS[kind](cluster_id=wish.cluster_id, operation_id=wish.operation_id)]

    for kind in ENDS:
        world.answers[f"cluster.{kind}_requested"] = lambda wish, kind=kind: answer(kind, wish)
    return heard


def test_a_cluster_is_stopped_once_that_is_meant_and_started_again(
    wishes: list[Any], dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    refused = dtrove("cluster", "stop", "shop")
    assert (refused.code, "Stop shop" in refused.err, wishes) == (1, True, [])
    assert dtrove("cluster", "stop", "shop", "--yes", "--wait", "--json").json["status"] == "stopped"
    assert "stopped" in dtrove("cluster", "show", "shop").out
    assert dtrove("cluster", "restart", "shop").code == Exit.CONFLICT
    assert dtrove("cluster", "start", "shop", "--wait", "--json").json["status"] == "active"


def test_one_instance_is_restarted_by_its_name(wishes: list[Any], world: World, dtrove: Dtrove) -> None:
    assert dtrove("cluster", "restart", "shop", "--instance", "shop-2", "--wait").code == 0
    assert dtrove("cluster", "restart", "shop", "--wait").code == 0
    ids = {one["name"]: one["id"] for one in dtrove("instance", "list", "shop", "--json").json}
    assert [one.instance_id for one in wishes] == [ids["shop-2"], ""]
    assert dtrove("cluster", "restart", "shop", "--plan").code == 0
    assert [(one["action"], one["instance_id"]) for one in world.planned] == [("restart", "")]
    assert len(wishes) == 2


def test_a_cluster_gets_the_volumes_and_the_flavor_that_are_named_and_less_than_it_has_is_refused(
    world: World, dtrove: Dtrove
) -> None:
    heard: list[Any] = []

    def answer(wish: Any) -> list[Event]:
        heard.append(wish)
        ids = {"cluster_id": wish.cluster_id, "operation_id": wish.operation_id}
        return [ClusterResized(**ids, volume_gb=wish.volume_gb, flavor=wish.flavor)]

    world.answers["cluster.resize_requested"] = answer
    made = ("cluster", "create", "grown", "--datastore", "pgsql 15", "--volume-gb", "2", "--wait")
    assert dtrove(*made).code == 0
    assert dtrove("cluster", "resize", "grown", "--volume-gb", "3", "--plan").code == 0
    assert [(one["volume_gb"], one["flavor"]) for one in world.planned] == [(3, None)]
    assert dtrove("cluster", "resize", "grown", "--volume-gb", "3", "--wait", "--json").json["volume_gb"] == 3
    assert (
        dtrove("cluster", "resize", "grown", "--flavor", "small", "--wait", "--json").json["flavor"]["name"] == "small"
    )
    assert [(one.volume_gb, one.flavor) for one in heard] == [(3, None), (0, None)], "it is of that flavor already"
    for refused, words in ((("--volume-gb", "2"), "must be at least 3"), ((), "give one of the two")):
        done = dtrove("cluster", "resize", "grown", *refused)
        assert (done.code, words in done.err) == (Exit.REFUSED, True)
