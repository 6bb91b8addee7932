"""Imports on the command line: planned, begun, shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from client.exits import Exit
from shared.contracts import imports
from shared.contracts.base import Event, new_id
from shared.contracts.exports import ExportedTable
from shared.contracts.values import Problem
from tests.unit.client.conftest import Done
from tests.unit.client.test_cli_exports import Exporter
from tests.unit.client.world import World

Dtrove = Callable[..., Done]
IN_THE_WAY = Problem(step="look", message="the cluster has it already: database shop", what_to_do="delete it")


class Importer:
    """datastore_agentless, which imports at once, unless there is a `problem`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.wishes: list[Any] = []
        self.problem: Problem | None = None
        world.answers["import.requested"] = self.load

    def load(self, wish: Any) -> list[Event]:
        self.wishes.append(wish)
        ids = {name: getattr(wish, name) for name in ("import_id", "cluster_id", "operation_id")}
        if self.problem is not None:
            return [imports.ImportFailed(**ids, problem=self.problem)]
        of_it = {"instance_id": new_id(), "project_id": wish.project_id}
        facts = imports.ImportFacts(
            databases=("shop",), tables=(ExportedTable(database="shop", table="public.orders", rows=7),), tables_total=1, rows=7,
            rows_expected=8, size_bytes=3_000_000, differing=("shop public.orders",),
        )  # fmt: skip
        return [imports.ImportStarted(**ids, **of_it), self.world.step(wish, "load", "succeeded", 100),
                imports.ImportCompleted(**ids, **of_it, facts=facts)]  # fmt: skip


@pytest.fixture
def importer(world: World, dtrove: Dtrove, tmp_path: Path) -> Importer:
    """A cluster that serves, with an export of it, and a service that imports."""
    assert dtrove("cluster", "create", "shop", "--datastore", "pgsql", "--wait").code == 0
    Exporter(world, tmp_path / "store")
    assert dtrove("export", "create", "shop", "--wait").code == 0
    return Importer(world)


def test_the_newest_export_of_a_cluster_is_imported_and_what_has_come_in_is_shown(
    dtrove: Dtrove, importer: Importer
) -> None:
    done = dtrove("import", "create", "shop", "shop", "--wait")
    assert done.code == 0, done.err
    (export,) = json.loads(dtrove("export", "list", "--json").out)
    assert importer.wishes[0].export_id == export["id"]
    for words in ("completed", "3.0 MB", "shop public.orders", "rows expected"):
        assert words in done.out
    shown = json.loads(dtrove("import", "list", "shop", "--json").out)
    assert [one["status"] for one in shown] == ["completed"]
    assert "completed" in dtrove("import", "list").out
    told = json.loads(dtrove("import", "show", shown[0]["id"], "--json").out)
    assert told["facts"]["tables"] == [{"database": "shop", "table": "public.orders", "rows": 7}]


def test_one_that_is_not_waited_for_says_where_to_look(dtrove: Dtrove, importer: Importer) -> None:
    done = dtrove("import", "create", "shop", "shop")
    assert (done.code, "dtrove operation watch" in done.err) == (0, True)


def test_a_plan_shows_what_comes_in_and_what_is_in_the_way(dtrove: Dtrove, importer: Importer) -> None:
    done = dtrove("import", "create", "shop", "shop", "--plan")
    assert done.code == 0, done.err
    for words in ("what comes in: shop, 7 rows in 1 tables, 3.0 MB", "in the way: shop", "lost: keys"):
        assert words in done.out
    assert importer.wishes == []


def test_one_that_fails_says_why(dtrove: Dtrove, importer: Importer) -> None:
    importer.problem = IN_THE_WAY
    done = dtrove("import", "create", "shop", "shop", "--wait", "--json")
    assert (done.code, json.loads(done.out)["status"]) == (Exit.FAILED, "failed")
    assert IN_THE_WAY.message in done.err
    assert IN_THE_WAY.message in " ".join(dtrove("import", "show", json.loads(done.out)["id"]).out.split())


def test_an_import_or_an_export_that_is_not_there_is_told_of(dtrove: Dtrove, importer: Importer) -> None:
    assert dtrove("import", "show", new_id()).code == Exit.NOT_FOUND
    assert dtrove("import", "create", "shop", new_id()).code == Exit.NOT_FOUND
