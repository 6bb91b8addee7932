"""Imports in datastore_agentless's own tables, on both engines, over hosts and a store in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.domain.importing import Import, State
from services.datastore_agentless.import_plans import plan_import
from services.datastore_agentless.store import catalogue, clusters, imports
from shared.contracts.api import ImportRequested
from shared.db import Database
from shared.errors import Conflict, NotFound
from tests.component.hosts.fleet import Stage
from tests.component.hosts.test_backups import bury, die, keeps
from tests.component.hosts.test_exports import ask as export
from tests.component.hosts.test_exports import delete as drop_export
from tests.support.keeping import SECRET_URL

STEPS = ["choose", "install", "look", "load", "finish"]


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of two nodes, which serves, and an export of it."""
    made = Stage(database, manager_for=keeps).serve(nodes=2)
    export(made)
    made.settle()
    return made


def ask(stage: Stage, imported: str = "i", **values: Any) -> ImportRequested:
    """Want an import, under the operation `load-i`."""
    wish = {"cluster_id": "c", "export_id": "e", **values}
    event = ImportRequested(operation_id=f"load-{imported}", import_id=imported, project_id="p", **wish)
    actions.request_import(stage.database, event, stage.hosts.manager_for)
    return event


def kept(stage: Stage, imported: str = "i") -> Import:
    with stage.database.read() as connection:
        return imports.get(connection, imported)


def job(stage: Stage) -> str:
    """The last script of shell that the primary was given."""
    return stage.fleet["c-0"].ran[-1]


def told(stage: Stage, node: str = "c-0") -> list[str]:
    return stage.fleet[node].told


def test_an_import_is_loaded_counted_and_told_with_the_databases_that_there_are_then(stage: Stage) -> None:
    before = len(stage.said("accounts.seen"))
    ask(stage)
    stage.settle()
    assert stage.steps("load-i") == STEPS
    (started,), (completed,) = stage.said("import.started"), stage.said("import.completed")
    assert (started["import_id"], started["instance_id"]) == ("i", "c-0")
    assert completed["facts"] == {
        "databases": ["shop"], "tables_total": 2, "rows": 7, "rows_expected": 7, "size_bytes": 5000, "differing": [],
        "tables": [{"database": "shop", "table": "public.orders", "rows": 7}, {"database": "shop", "table": "public.two  words", "rows": 0}],
    }  # fmt: skip
    assert len(stage.said("accounts.seen")) == before + 1
    assert kept(stage).state == State.COMPLETED
    assert "pg_restore" not in job(stage)


def test_it_goes_to_the_primary_alone_and_what_was_marked_there_is_forgotten(stage: Stage) -> None:
    before = len(told(stage, "c-1"))
    ask(stage)
    stage.settle()
    assert told(stage, "c-1")[before:] == []
    assert told(stage).index("see what is in the way") < told(stage).index("load the export")
    assert "forget that the import has begun" in told(stage)


def test_neither_a_url_nor_a_key_of_the_export_s_is_told(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    with stage.database.read() as connection:
        rows = connection.execute(stage.database.outbox.select())
        everything = json.dumps([dict(row._mapping) for row in rows], default=str)
    assert SECRET_URL not in everything
    assert "AGE-SECRET-KEY-" not in everything
    assert "AGE-SECRET-KEY-" not in job(stage)


def test_what_is_in_the_way_is_named_before_anything_is_fetched(stage: Stage) -> None:
    stage.fleet.says["see what is in the way"] = "database shop\n"
    ask(stage)
    stage.settle()
    (failed,) = stage.said("import.failed")
    assert failed["problem"]["message"] == "the cluster has it already: database shop"
    assert "nothing is written over" in failed["problem"]["what_to_do"]
    assert (kept(stage).state, "load the export" in told(stage)) == (State.FAILED, False)


def test_rows_that_are_not_those_that_were_counted_in_the_snapshot_fail_it_and_what_it_has_made_goes(
    stage: Stage,
) -> None:
    stage.fleet.says["load the export"] = 'say {"database": "shop", "table": "public.orders", "rows": 6}\n'
    stage.fleet.says["see whether the import has begun"] = "yes\n"
    ask(stage)
    stage.settle()
    (failed,) = stage.said("import.failed")
    assert "of 7 rows there are 6" in failed["problem"]["message"]
    assert "shop public.orders" in failed["problem"]["message"]
    assert "delete database shop" in told(stage)
    assert "left behind" not in failed["problem"]["message"]


def test_a_retry_begins_anew_by_a_job_of_another_name(stage: Stage) -> None:
    stage.fleet.says["see what is in the way"] = "database shop\n"
    ask(stage)
    stage.settle()
    del stage.fleet.says["see what is in the way"]
    stage.retry("load-i")
    stage.settle()
    assert (kept(stage).state, kept(stage).job) == (State.COMPLETED, "import-2")


@pytest.mark.parametrize("moment", ["see what is in the way", "load the export", "list databases and users",
                                    "forget that the import has begun"])  # fmt: skip
def test_a_worker_that_dies_at_any_moment_leaves_one_import(stage: Stage, moment: str) -> None:
    stage.fleet.meanwhile[moment] = die
    ask(stage)
    stage.settle()
    assert stage.fleet.meanwhile == {}
    assert (kept(stage).state, len(stage.said("import.completed"))) == (State.COMPLETED, 1)


def test_an_import_that_is_cancelled_leaves_the_cluster_as_it_was(stage: Stage) -> None:
    stage.fleet.says["see whether the import has begun"] = "yes\n"
    stage.fleet.meanwhile["load the export"] = lambda: stage.cancel("load-i")
    ask(stage)
    stage.settle()
    assert [one["cancelled"] for one in stage.said("import.failed")] == [True]
    assert told(stage).index("end what loads the import") < len(told(stage)) - told(stage)[::-1].index(
        "delete database shop"
    )
    assert kept(stage).state == State.FAILED


def test_a_switchover_in_its_middle_fails_it_and_says_what_may_be_left(stage: Stage) -> None:
    stage.fleet.meanwhile["load the export"] = lambda: stage.switch_over(to="c-1")
    ask(stage)
    stage.settle()
    (failed,) = stage.said("import.failed")
    assert failed["problem"]["message"].startswith("another node has become the primary meanwhile; left behind:")
    assert "look at shop" in failed["problem"]["message"]
    assert "delete database shop" not in told(stage)


def test_a_part_that_is_missing_fails_it(stage: Stage) -> None:
    stage.store.lost = {2}
    ask(stage)
    stage.settle()
    (failed,) = stage.said("import.failed")
    assert "not all parts" in failed["problem"]["message"]


@pytest.mark.parametrize(("values", "words"), [
    ({"export_id": "nobody"}, "there is no export nobody"), ({"cluster_id": "nobody"}, "does not serve"),
])  # fmt: skip
def test_what_cannot_be_is_answered_with_a_sentence(stage: Stage, values: dict[str, Any], words: str) -> None:
    ask(stage, **values)
    (failed,) = stage.said("import.failed")
    assert words in failed["problem"]["message"]
    assert stage.engine.run_due() is None


def test_an_export_that_is_gone_when_its_turn_comes_is_told_of(stage: Stage) -> None:
    stage.fleet.meanwhile["see what is installed"] = lambda: (drop_export(stage), stage.settle())
    ask(stage)
    stage.settle()
    (failed,) = stage.said("import.failed")
    assert failed["problem"]["message"] == "export e is deleted"


def test_a_wish_that_is_heard_twice_makes_one_import(stage: Stage) -> None:
    asked = ask(stage)
    stage.settle()
    actions.request_import(stage.database, asked, keeps)
    ask(stage)
    stage.settle()
    assert len(stage.said("import.completed")) == 1


def test_an_import_goes_with_its_cluster(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    bury(stage)
    with pytest.raises(NotFound):
        kept(stage)


def test_a_plan_says_what_comes_in_what_is_in_the_way_and_how_a_failure_is_undone(stage: Stage) -> None:
    within, listed = actions.import_at_hand(stage.database, {"export_id": "e", "cluster_id": "c"})
    with stage.database.read() as connection:
        cluster = clusters.cluster(connection, "c")
        there = clusters.instances(connection, "c")
        manager = keeps(catalogue.datastore(connection, cluster.datastore_id))
    shown = plan_import(manager, cluster, there, within, listed)
    assert [host["host"] for host in shown["hosts"]] == ["c-0"]
    assert {"see what is in the way", "load the export"} <= {one["title"] for one in shown["hosts"][0]["commands"]}
    assert shown["contents"]["rows"] == 7
    assert shown["contents"]["undone"] == "the databases that it makes are dropped again"
    with pytest.raises(NotFound):
        actions.import_at_hand(stage.database, {"export_id": "nobody", "cluster_id": "c"})


def test_a_plan_of_an_export_that_is_being_made_is_refused(stage: Stage) -> None:
    export(stage, "half")
    with pytest.raises(Conflict):
        actions.import_at_hand(stage.database, {"export_id": "half", "cluster_id": "c"})
