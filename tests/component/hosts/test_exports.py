"""Exports in datastore_agentless's own tables, on both engines, over hosts and a store in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.domain.backup import State
from services.datastore_agentless.domain.export import Export
from services.datastore_agentless.domain.health import Verdict
from services.datastore_agentless.store import exports
from shared.contracts.api import ExportDeleteRequested, ExportRequested
from shared.db import Database
from shared.errors import Conflict, NotFound, Unavailable
from tests.component.hosts.fleet import Stage
from tests.component.hosts.test_backups import ask as back_up
from tests.component.hosts.test_backups import bury, die, keeps, seen
from tests.support.keeping import READER_URL, SECRET_URL, SUMS

STEPS = ["choose", "install", "begin", "send", "finish"]
KEY = "p/c/exports/e"


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster of two nodes, which serves."""
    return Stage(database, manager_for=keeps).serve(nodes=2)


def ask(stage: Stage, export: str = "e", **values: Any) -> ExportRequested:
    """Want an export, under the operation `make-e`."""
    wish: dict[str, Any] = {"format": "sql", "databases": ("shop",), **values}
    event = ExportRequested(operation_id=f"make-{export}", export_id=export, cluster_id="c", project_id="p", **wish)
    actions.change_exports(stage.database, event, stage.hosts.manager_for, stage.stores)
    return event


def delete(stage: Stage, export: str = "e") -> None:
    """Want it gone, under the operation `drop-e`."""
    event = ExportDeleteRequested(operation_id=f"drop-{export}", export_id=export, cluster_id="c", project_id="p")
    actions.change_exports(stage.database, event, stage.hosts.manager_for, stage.stores)


def kept(stage: Stage, export: str = "e") -> Export:
    with stage.database.read() as connection:
        return exports.get(connection, export)


def content(stage: Stage, export: str = "e") -> dict[str, Any]:
    """Where it can be read."""
    return actions.export_content(stage.database, stage.stores, lambda secret: f"sealed {secret.reveal()}", export)


def key(stage: Stage, export: str = "e") -> str:
    """What opens it, as it goes over the bus."""
    return actions.export_key(stage.database, lambda secret: secret.reveal(), export)["sealed_key"]


def state(stage: Stage, export: str = "e") -> State:
    return kept(stage, export).state


def test_an_export_is_sent_kept_and_told(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    assert stage.steps("make-e") == STEPS
    (started,), (completed,) = stage.said("export.started"), stage.said("export.completed")
    assert (started["instance_id"], started["store"]) == ("c-0", "local")
    facts = completed["facts"]
    assert {name: facts[name] for name in ("engine", "size_bytes", "stored_bytes", "sha256", "file", "rows", "tables_total")} == {
        "engine": "15.4", "size_bytes": 5000, "stored_bytes": 1000, "sha256": "cc" * 32, "file": "c-e.sql.zst", "rows": 7,
        "tables_total": 2,
    }  # fmt: skip
    assert (facts["databases"], facts["rows_exact"]) == (["shop"], True)
    assert facts["tables"][1] == {"database": "shop", "table": "public.two  words", "rows": 0}
    assert set(facts["tools"]) == {"zstd", "age", "bash", "pg_dump"}
    assert facts["restore"].startswith("psql ")


def test_the_manifest_beside_the_parts_is_the_catalogue_s_and_says_how_it_is_restored(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    manifest = json.loads(stage.store.manifest(KEY))
    assert manifest == kept(stage).manifest
    assert (manifest["version"], manifest["export"], manifest["format"]) == (1, "e", "sql")
    assert [one["sha256"] for one in manifest["parts"]] == list(SUMS)
    assert manifest["command"].startswith("age -d -i c-e.key c-e.sql.zst.age | zstd -dc | psql ")
    assert manifest["recipient"] == kept(stage).recipient != ""


def test_each_export_has_a_key_of_its_own_which_is_told_to_nobody(stage: Stage) -> None:
    ask(stage)
    ask(stage, "f")
    stage.settle()
    keys = {key(stage, one) for one in ("e", "f")}
    assert len(keys) == 2
    with stage.database.read() as connection:
        told = json.dumps(
            [dict(row._mapping) for row in connection.execute(stage.database.outbox.select())], default=str
        )
    for secret in (*keys, SECRET_URL):
        assert secret not in told
    manifests = stage.store.manifest(KEY).decode() + stage.store.manifest("p/c/exports/f").decode()
    assert not any(one in manifests for one in keys)


def test_one_that_is_not_to_be_encrypted_has_none(stage: Stage) -> None:
    ask(stage, encrypted=False)
    stage.settle()
    assert (kept(stage).recipient, key(stage)) == ("", "")
    assert json.loads(stage.store.manifest(KEY))["command"].startswith("zstd -dc c-e.sql.zst | ")


def test_it_can_be_had_from_its_store_by_whoever_is_told_where(stage: Stage) -> None:
    ask(stage)
    with pytest.raises(Conflict):
        content(stage)
    stage.settle()
    found = content(stage)
    assert found["sealed_url"] == f"sealed {READER_URL}&name=c-e.sql.zst.age"
    stage.store.lost = {1}
    with pytest.raises(Conflict, match="not all parts"):
        content(stage)
    stage.store.away = True
    with pytest.raises(Unavailable):
        content(stage)
    with pytest.raises(NotFound):
        content(stage, "nobody")


def test_postgresql_is_read_from_its_primary_for_a_standby_would_end_it(stage: Stage) -> None:
    seen(stage, "c-1", Verdict.OK)
    ask(stage)
    stage.settle()
    assert kept(stage).instance_id == "c-0"


def test_an_export_and_a_backup_do_not_wait_for_each_other(stage: Stage) -> None:
    stage.fleet.meanwhile["send the export"] = lambda: back_up(stage)
    ask(stage)
    stage.settle()
    assert state(stage) == State.COMPLETED
    assert len(stage.said("backup.completed")) == 1


@pytest.mark.parametrize(("values", "words"), [
    ({"store": "moon"}, "there is no backup store 'moon'"), ({"format": "rdb"}, "format must be one of sql, custom"),
    ({"format": "custom", "databases": ()}, "databases must name one"),
])  # fmt: skip
def test_what_cannot_be_is_answered_with_a_sentence(stage: Stage, values: dict[str, Any], words: str) -> None:
    ask(stage, **values)
    (failed,) = stage.said("export.failed")
    assert words in failed["problem"]["message"]
    assert failed["problem"]["what_to_do"]
    assert stage.engine.run_due() is None


def test_a_wish_that_is_heard_twice_makes_one_export(stage: Stage) -> None:
    asked = ask(stage)
    stage.settle()
    actions.change_exports(stage.database, asked, keeps, stage.stores)
    ask(stage)
    stage.settle()
    assert (stage.store.begins, len(stage.said("export.completed"))) == (1, 1)


@pytest.mark.parametrize("moment", ["begin", "send the export", "see what databases there are", "finish", "finished"])
def test_a_worker_that_dies_at_any_moment_leaves_one_export(stage: Stage, moment: str) -> None:
    hooks = stage.fleet.meanwhile if " " in moment else stage.store.meanwhile
    hooks[moment] = die
    ask(stage)
    stage.settle()
    assert hooks == {}
    assert (state(stage), list(stage.store.kept), stage.store.begun) == (State.COMPLETED, [KEY], {})
    assert len(stage.said("export.completed")) == 1


def test_an_export_of_which_a_part_is_missing_is_never_completed_and_begins_anew_at_a_retry(stage: Stage) -> None:
    stage.store.lost = {2}
    ask(stage)
    stage.settle()
    (failed,) = stage.said("export.failed")
    assert (failed["problem"]["message"], failed["cancelled"]) == ("part 2 is not there", False)
    assert (state(stage), stage.store.begun, stage.store.kept) == (State.FAILED, {}, {})
    stage.store.lost = set()
    stage.retry("make-e")
    stage.settle()
    assert (state(stage), kept(stage).job) == (State.COMPLETED, "export-2")


@pytest.mark.parametrize("moment", ["see the versions of the tools", "send the export"])
def test_an_export_that_is_cancelled_leaves_nothing(stage: Stage, moment: str) -> None:
    stage.fleet.meanwhile[moment] = lambda: stage.cancel("make-e")
    ask(stage)
    stage.settle()
    assert [one["cancelled"] for one in stage.said("export.failed")] == [True]
    assert (state(stage), stage.store.begun, stage.store.kept) == (State.FAILED, {}, {})


def test_a_switchover_in_its_middle_fails_it_with_a_sentence(stage: Stage) -> None:
    stage.fleet.meanwhile["send the export"] = lambda: stage.switch_over(to="c-1")
    ask(stage)
    stage.settle()
    (failed,) = stage.said("export.failed")
    assert failed["problem"]["message"] == "another node has become the primary meanwhile"


def test_an_export_that_is_deleted_is_gone_from_its_store_with_its_key(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    delete(stage)
    stage.settle()
    assert [one["operation_id"] for one in stage.said("export.deleted")] == ["drop-e"]
    assert (state(stage), kept(stage).identity.reveal(), stage.store.kept) == (State.DELETED, "", {})
    with pytest.raises(Conflict):
        key(stage)


def test_one_that_is_deleted_while_it_is_made_is_stopped_first_and_one_that_is_unknown_is_gone_at_once(
    stage: Stage,
) -> None:
    stage.fleet.meanwhile["send the export"] = lambda: delete(stage)
    ask(stage)
    delete(stage, "nobody")
    stage.settle()
    assert sorted(one["export_id"] for one in stage.said("export.deleted")) == ["e", "nobody"]
    assert (state(stage), stage.store.begun, stage.store.kept) == (State.DELETED, {}, {})


def test_an_export_outlives_its_cluster_and_can_be_had_and_deleted_after_it(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    bury(stage)
    assert key(stage).startswith("AGE-SECRET-KEY-")
    delete(stage)
    stage.settle()
    assert (state(stage), stage.store.kept) == (State.DELETED, {})


def test_a_cluster_s_end_stops_the_making_of_an_export_and_not_the_removal_of_one(stage: Stage) -> None:
    ask(stage)
    stage.settle()
    ask(stage, "second")
    delete(stage)
    bury(stage)
    assert (state(stage), state(stage, "second")) == (State.DELETED, State.FAILED)
    assert (stage.store.begun, stage.store.kept) == ({}, {})
