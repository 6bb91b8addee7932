"""Parameters of a cluster, on the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from client.exits import Exit
from shared.contracts.base import Event, dump
from shared.contracts.datastore_agentless import ParametersDefined
from shared.contracts.operations import OperationEnded
from shared.contracts.parameters import INTEGER, NodeParameters, ParameterDefinition
from tests.unit.client.conftest import Done
from tests.unit.client.world import World

Dtrove = Callable[..., Done]
KNOWN = (
    ParameterDefinition(name="timeout", kind=INTEGER, minimum="0", maximum="100", default="0"),
    ParameterDefinition(name="databases", kind=INTEGER, minimum="1", default="16", restart=True),
)


@pytest.fixture
def wishes(world: World, dtrove: Dtrove) -> list[Any]:
    """A cluster that serves, whose engine's parameters are known; and what is asked of the other services from then on."""
    asked: list[Any] = []
    assert dtrove("cluster", "create", "shop", "--datastore", "pgsql", "--wait").code == 0
    datastore = dtrove("cluster", "show", "shop", "--json").json["datastore"]["id"]
    world.hear(ParametersDefined(datastore_id=datastore, engine="7.0.15", definitions=KNOWN))
    node = dtrove("instance", "list", "shop", "--json").json[0]["id"]

    def answer(wish: Any) -> list[Event]:
        asked.append(wish)
        states = {name: "restart" if name == "databases" and not wish.restart_now else "live" for name in wish.values}
        said = NodeParameters(instance_id=node, live=dict(wish.values), states=states)
        return [OperationEnded(cluster_id=wish.cluster_id, operation_id=wish.operation_id, status="succeeded",
                               result={"version": wish.version, "nodes": [dump(said)]})]  # fmt: skip

    world.answers["parameters.requested"] = answer
    return asked


def test_parameters_are_set_and_unset_and_shown_with_what_waits(wishes: list[Any], dtrove: Dtrove) -> None:
    done = dtrove("cluster", "parameters", "shop", "--set", "timeout=7", "--set", "databases=32", "--wait")
    assert done.code == 0, done.err
    assert "--restart now" in done.err
    assert wishes[0].values == {"databases": "32", "timeout": "7"}
    after = dtrove("cluster", "parameters", "shop", "--unset", "timeout", "--restart", "now", "--wait", "--json")
    assert [(one["name"], one["state"]) for one in after.json["parameters"]] == [("databases", "live")]
    assert (wishes[1].values, wishes[1].restart_now) == ({"databases": "32"}, True)
    assert dtrove("cluster", "parameters", "shop", "--json").json["version"] == 2
    assert len(wishes) == 2


def test_what_is_refused_says_why_and_what_is_no_pair_asks_nothing(wishes: list[Any], dtrove: Dtrove) -> None:
    done = dtrove("cluster", "parameters", "shop", "--set", "timeuot=7")
    assert done.code == Exit.REFUSED
    assert "did you mean timeout?" in done.err
    assert dtrove("cluster", "parameters", "shop", "--set", "timeout").code == Exit.REFUSED
    assert wishes == []


def test_a_plan_shows_the_files_and_changes_nothing(wishes: list[Any], world: World, dtrove: Dtrove) -> None:
    done = dtrove("cluster", "parameters", "shop", "--set", "timeout=7", "--plan", "--restart", "now")
    assert done.code == 0, done.err
    assert "+timeout 7" in done.out
    assert world.planned[-1]["restart_now"] is True
    assert wishes == []


def test_the_history_leads_back(wishes: list[Any], dtrove: Dtrove) -> None:
    for value in ("7", "8"):
        assert dtrove("cluster", "parameters", "shop", "--set", f"timeout={value}", "--wait").code == 0
    assert "timeout: 7 -> 8" in dtrove("cluster", "parameters-history", "shop").out
    assert dtrove("cluster", "parameters-rollback", "shop", "1", "--wait").code == 0
    assert wishes[-1].values == {"timeout": "7"}
    assert dtrove("cluster", "parameters-rollback", "shop", "9").code == Exit.NOT_FOUND


def test_a_datastore_lists_what_may_be_set(wishes: list[Any], dtrove: Dtrove) -> None:
    shown = dtrove("datastore", "parameters", "pgsql", "--json").json
    assert [one["name"] for one in shown["parameters"]] == ["databases", "timeout"]
    assert "restart" in dtrove("datastore", "parameters", "pgsql").out


def test_a_group_is_shared_changed_on_all_its_clusters_and_brought_up_to_date(
    wishes: list[Any], dtrove: Dtrove
) -> None:
    made = dtrove("parameter-group", "create", "small", "--datastore", "pgsql", "--parameter", "timeout=7", "--json")
    assert (made.code, made.json["version"]) == (0, 1), made.err
    assert dtrove("cluster", "parameters", "shop", "--group", "small", "--set", "databases=32", "--wait").code == 0
    assert wishes[-1].values == {"databases": "32", "timeout": "7"}
    late = ("cluster", "create", "late", "--datastore", "pgsql", "--parameter-group")
    assert (dtrove(*late, "small", "--plan").code, dtrove(*late, "nobody", "--plan").code) == (0, Exit.REFUSED)
    planned = dtrove("parameter-group", "set", "small", "--set", "timeout=9", "--plan")
    assert "timeout: 7 -> 9" in planned.err
    assert len(wishes) == 1
    done = dtrove("parameter-group", "set", "small", "--set", "timeout=9", "--wait", "--json")
    assert [(one["name"], one["version"], one["state"]) for one in done.json["clusters"]] == [("shop", 2, "applied")]
    assert wishes[-1].values == {"databases": "32", "timeout": "9"}
    assert "small (version 2)" in dtrove("cluster", "parameters-history", "shop").out
    assert dtrove("cluster", "parameters-apply", "shop", "--wait").code == 0
    assert dtrove("parameter-group", "delete", "small", "--yes").code == Exit.CONFLICT
    assert dtrove("cluster", "parameters", "shop", "--no-group", "--wait").code == 0
    assert dtrove("parameter-group", "delete", "small", "--yes").code == 0
    assert dtrove("parameter-group", "list", "--json").json == []
