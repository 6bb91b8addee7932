"""Another primary, asked for on the command line."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from client.exits import Exit
from shared.contracts.base import Event
from shared.contracts.datastore_agentless import ClusterActive, DatastoreRegistered, NodeReady, PrimaryChanged
from shared.contracts.operations import OperationEnded
from shared.contracts.values import Address, Endpoint, Problem, StableAddress
from tests.unit.client.conftest import Done
from tests.unit.client.world import World

Dtrove = Callable[..., Done]
KINDS = ("switchover", "failover")
CREATE = ("cluster", "create", "shop", "--datastore", "redis 7", "--size", "3", "--wait")


class Others:
    """What the other services were asked for a takeover, and their answer."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.wishes: list[Any] = []
        self.nodes: dict[str, str] = {}
        self.problem: Problem | None = None
        for kind in KINDS:
            world.answers[f"{kind}.requested"] = self.answer

    def answer(self, wish: Any) -> list[Event]:
        self.wishes.append(wish)
        ids: dict[str, Any] = {"cluster_id": wish.cluster_id, "operation_id": wish.operation_id}
        if self.problem is not None:
            return [OperationEnded(**ids, status="failed", problem=self.problem)]
        own = StableAddress(host="10.9.0.250", port=6379, url="redis://dtrove@10.9.0.250:6379/0")
        moved = Endpoint(primary=Address(host="10.9.0.3", port=6379), url="redis://10.9.0.3:6379", address=own)
        new = wish.instance_id or self.named("shop-2")
        return [
            self.world.step(wish, "promote", "succeeded", 100),
            PrimaryChanged(**ids, primary_id=new, former_id=self.named("shop-1"), endpoint=moved),
            OperationEnded(**ids, status="succeeded", result={"evidence": {}}),
        ]

    def named(self, name: str) -> str:
        """The id of a node."""
        return self.nodes[name]


@pytest.fixture
def others(world: World, dtrove: Dtrove) -> Others:
    """A cluster of three nodes that serves, and services that have another one take over."""
    world.hear(DatastoreRegistered(id="redis", manager="redis", version="7", image="debian-12", packages=("redis",),
                                   name="redis - 7", min_ram_mb=256, modes=("async",)))  # fmt: skip

    def made(wish: Any) -> list[Event]:
        ids = {"cluster_id": wish.cluster_id, "operation_id": wish.operation_id}
        first = Endpoint(primary=Address(host="10.9.0.2", port=6379), url="redis://10.9.0.2:6379")
        ready = [NodeReady(instance_id=one.id, **ids) for one in wish.instances]
        servers = [world.server(wish, one.id) for one in wish.instances]
        return [*servers, *ready, ClusterActive(**ids, endpoint=first, primary_id=wish.instances[0].id)]

    world.answers["cluster.requested"] = made
    asked = Others(world)
    assert dtrove(*CREATE).code == 0
    asked.nodes = {one["name"]: one["id"] for one in dtrove("instance", "list", "shop", "--json").json}
    return asked


def test_a_switchover_asks_nothing_first_and_shows_where_the_writes_go(others: Others, dtrove: Dtrove) -> None:
    done = dtrove("cluster", "switchover", "shop", "--wait", "--json")
    assert done.code == 0, done.err
    assert done.json["endpoint"]["primary"]["host"] == "10.9.0.3"
    assert "promote" in done.err
    assert [one.topic for one in others.wishes] == ["switchover.requested"]
    assert others.wishes[0].instance_id == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_replica_is_named_by_its_name_or_its_id(others: Others, dtrove: Dtrove, kind: str) -> None:
    yes = ("--yes",) if kind == "failover" else ()
    assert dtrove("cluster", kind, "shop", "--to", "shop-3", *yes, "--wait").code == 0
    assert dtrove("cluster", kind, "shop", "--to", others.named("shop-2"), *yes, "--wait").code == 0
    assert [one.instance_id for one in others.wishes] == [others.named("shop-3"), others.named("shop-2")]
    assert dtrove("cluster", kind, "shop", "--to", "nobody", *yes).code == Exit.NOT_FOUND


def test_a_failover_asks_first(others: Others, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    done = dtrove("cluster", "failover", "shop", "--wait")
    assert done.code == 1
    assert "Switch the primary of shop off" in done.err
    assert others.wishes == []
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert dtrove("cluster", "failover", "shop", "--wait").code == 0
    assert len(others.wishes) == 1


@pytest.mark.parametrize("accepts", [True, False])
def test_a_failover_accepts_loss_only_where_it_is_told_so(others: Others, dtrove: Dtrove, accepts: bool) -> None:
    word = ("--accept-loss",) if accepts else ()
    assert dtrove("cluster", "failover", "shop", *word, "--yes", "--wait").code == 0
    assert [(one.topic, one.accept_loss) for one in others.wishes] == [("failover.requested", accepts)]


def test_a_clusters_own_address_is_what_is_shown_first(others: Others, dtrove: Dtrove) -> None:
    assert "10.9.0.2:6379" in dtrove("cluster", "list").out
    dtrove("cluster", "switchover", "shop", "--wait")
    assert "10.9.0.250:6379" in dtrove("cluster", "list").out
    shown = dtrove("cluster", "show", "shop").out
    assert "endpoint address host" in shown
    assert "redis://dtrove@10.9.0.250:6379/0" in shown


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_of_a_takeover_shows_commands_and_changes_nothing(
    others: Others, world: World, dtrove: Dtrove, kind: str
) -> None:
    done = dtrove("cluster", kind, "shop", "--to", "shop-2", "--plan")
    assert done.code == 0, done.err
    assert "pg_promote" in done.out
    assert "server shop-1: switched off" in done.out
    assert "moves: address 10.9.0.250: from shop-1 to shop-2" in done.out
    assert world.planned == [{"cluster_id": world.planned[0]["cluster_id"], "instance_id": others.named("shop-2"),
                              "fenced": kind == "failover"}]  # fmt: skip
    assert others.wishes == []
    assert json.loads(dtrove("cluster", kind, "shop", "--plan", "--json").out)


@pytest.mark.parametrize("kind", KINDS)
def test_a_takeover_that_is_refused_says_why_and_what_to_do(others: Others, dtrove: Dtrove, kind: str) -> None:
    others.problem = Problem(step="prove", message="shop-2 still receives from shop-1: it lives, and is not replaced",
                             what_to_do="ask for a switchover")  # fmt: skip
    done = dtrove("cluster", kind, "shop", *(("--yes",) if kind == "failover" else ()), "--wait")
    assert done.code == Exit.FAILED
    assert "it lives, and is not replaced" in done.err
    assert "ask for a switchover" in done.err


@pytest.mark.parametrize("kind", KINDS)
def test_the_primary_cannot_be_named(others: Others, dtrove: Dtrove, kind: str) -> None:
    done = dtrove("cluster", kind, "shop", "--to", "shop-1", *(("--yes",) if kind == "failover" else ()))
    assert done.code == Exit.CONFLICT
    assert "is the primary already" in done.err


@pytest.mark.parametrize(("options", "shown"), [((), "automatic"), (("--failover", "manual"), "manual")])
def test_whether_a_cluster_fails_over_by_itself_is_said_when_it_is_made(
    others: Others, dtrove: Dtrove, options: tuple[str, ...], shown: str
) -> None:
    made = dtrove("cluster", "create", "other", "--datastore", "redis 7", "--size", "2", *options, "--json")
    assert made.code == 0, made.err
    assert dtrove("cluster", "show", "other", "--json").json["topology"] == {"mode": "async", "failover": shown}
