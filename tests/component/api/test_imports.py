"""Imports over HTTP; what datastore_agentless says and answers is told by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.api.actions.access import DEFAULT_PROJECT
from shared.contracts import imports
from shared.contracts.base import new_id
from shared.contracts.exports import ExportedTable
from shared.contracts.values import Problem
from tests.component.api.test_backups import gone
from tests.component.api.test_clusters import active
from tests.component.api.test_exports import begun as export_begun
from tests.component.api.test_exports import made as exported
from tests.component.api.test_scaling import wished
from tests.support.api import Api

PROBLEM = Problem(step="look", message="the cluster has it already: database shop", what_to_do="delete it")
FACTS = imports.ImportFacts(
    databases=("shop",), tables=(ExportedTable(database="shop", table="public.orders", rows=7),), tables_total=1, rows=7,
    rows_expected=8, size_bytes=9 << 20, differing=("shop public.orders",),
)  # fmt: skip


@pytest.fixture
def shop(api: Api) -> str:
    """A cluster of PostgreSQL that serves."""
    cluster, operation = api.create(volume_gb=10)
    active(api, cluster, operation)
    return cluster


def begun(api: Api, cluster: str, export: str) -> dict[str, str]:
    """An import that is asked for, as the ids that its events have."""
    answer = api.ask("POST", f"/v1/clusters/{cluster}/imports", {"export": export})
    assert answer.status_code == 202, answer.text
    return {"import_id": answer.json["import"]["id"], "operation_id": answer.json["id"], "cluster_id": cluster}


def of_it() -> dict[str, str]:
    return {"project_id": DEFAULT_PROJECT, "instance_id": new_id()}


def test_an_import_is_shown_from_the_wish_to_its_end_with_what_has_come_in(api: Api, shop: str) -> None:
    export = exported(api, shop)
    answer = api.ask("POST", f"/v1/clusters/{shop}/imports", {"export": export})
    assert (answer.status_code, answer.json["kind"], answer.json["status"]) == (202, "import", "pending")
    assert answer.headers["location"] == f"/v1/operations/{answer.json['id']}"
    entry = answer.json["import"]
    assert (entry["status"], entry["export"], entry["facts"]) == ("requested", export, None)
    (wish,) = wished(api, "import.requested")
    told = json.loads(wish.body)
    assert (told["import_id"], told["export_id"], told["cluster_id"]) == (entry["id"], export, shop)
    ids = {"import_id": entry["id"], "operation_id": answer.json["id"], "cluster_id": shop}
    api.hear(imports.ImportStarted(**ids, **of_it()))
    assert api.get(f"/v1/imports/{entry['id']}")["status"] == "running"
    api.hear(imports.ImportCompleted(**ids, **of_it(), facts=FACTS))
    shown = api.get(f"/v1/imports/{entry['id']}")
    assert (shown["status"], shown["cluster_name"]) == ("completed", "shop")
    assert shown["facts"]["tables"] == [{"database": "shop", "table": "public.orders", "rows": 7}]
    assert (shown["facts"]["rows_expected"], shown["facts"]["differing"]) == (8, ["shop public.orders"])
    (listed,) = api.get("/v1/imports?status=completed")["imports"]
    assert (listed["facts"]["tables"], listed["facts"]["tables_total"]) == ([], 1)
    assert api.operation(answer.json["id"])["result"] == {"import": entry["id"]}


def test_a_plan_changes_nothing_and_says_what_comes_in(api: Api, shop: str) -> None:
    export = exported(api, shop)
    answer = api.ask("POST", f"/v1/clusters/{shop}/imports?plan=true", {"export": export})
    assert (answer.status_code, answer.json["plan"]["contents"]["there"]) == (200, ["shop"])
    assert (wished(api, "import.requested"), api.get("/v1/imports")["imports"]) == ([], [])


@pytest.mark.parametrize(("body", "field"), [({}, "export"), ({"export": "x"}, "export"), ({"export": 1}, "export"),
                                             ({"export": new_id(), "colour": 1}, "colour")])  # fmt: skip
def test_what_names_no_export_is_refused_by_the_field(api: Api, shop: str, body: Any, field: str) -> None:
    refused = api.ask("POST", f"/v1/clusters/{shop}/imports", body)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, field)


def test_an_export_that_is_not_whole_or_not_there_is_not_imported(api: Api, shop: str) -> None:
    path = f"/v1/clusters/{shop}/imports"
    assert api.ask("POST", path, {"export": new_id()}).status_code == 404
    half = export_begun(api, shop)["export_id"]
    for where in (path, f"{path}?plan=true"):
        refused = api.ask("POST", where, {"export": half})
        assert (refused.status_code, "requested" in refused.json["detail"]) == (409, True)
    assert wished(api, "import.requested") == []


def test_an_export_of_another_engine_is_not_imported(api: Api, shop: str) -> None:
    cluster, operation = api.create("cache", datastore="redis 7.0")
    active(api, cluster, operation)
    refused = api.ask("POST", f"/v1/clusters/{cluster}/imports", {"export": exported(api, shop)})
    assert (refused.status_code, "the export is of pgsql" in refused.json["detail"]) == (409, True)


def test_nothing_is_imported_into_a_cluster_that_does_not_serve(api: Api, shop: str) -> None:
    export = exported(api, shop)
    cluster, _ = api.create("young")
    assert api.ask("POST", f"/v1/clusters/{cluster}/imports", {"export": export}).status_code == 409


def test_an_import_is_alone_on_its_cluster(api: Api, shop: str) -> None:
    export = exported(api, shop)
    ids = begun(api, shop, export)
    assert api.ask("POST", f"/v1/clusters/{shop}/restart", {}).status_code == 409
    assert api.ask("POST", f"/v1/clusters/{shop}/imports", {"export": export}).status_code == 409
    api.hear(imports.ImportCompleted(**ids, **of_it(), facts=FACTS))
    assert api.ask("POST", f"/v1/clusters/{shop}/restart", {}).status_code == 202


def test_an_import_that_fails_says_why_and_goes_on_when_its_operation_is_retried(api: Api, shop: str) -> None:
    ids = begun(api, shop, exported(api, shop))
    api.hear(imports.ImportFailed(**ids, problem=PROBLEM))
    path = f"/v1/imports/{ids['import_id']}"
    shown = api.get(path)
    assert (shown["status"], shown["message"], shown["problem"]["what_to_do"]) == (
        "failed",
        PROBLEM.message,
        "delete it",
    )
    assert api.ask("POST", f"/v1/operations/{ids['operation_id']}/retry").status_code == 202
    assert (api.get(path)["status"], api.get(path)["problem"]) == ("requested", None)


def test_one_that_is_cancelled_ends_as_that(api: Api, shop: str) -> None:
    ids = begun(api, shop, exported(api, shop))
    assert api.ask("POST", f"/v1/operations/{ids['operation_id']}/cancel").status_code == 202
    api.hear(imports.ImportFailed(**ids, problem=PROBLEM, cancelled=True))
    assert api.operation(ids["operation_id"])["status"] == "cancelled"


def test_a_late_word_of_its_beginning_changes_nothing(api: Api, shop: str) -> None:
    ids = begun(api, shop, exported(api, shop))
    started = imports.ImportStarted(**ids, **of_it())
    api.hear(imports.ImportCompleted(**ids, **of_it(), facts=FACTS))
    api.hear(started)
    assert api.get(f"/v1/imports/{ids['import_id']}")["status"] == "completed"


def test_an_import_ends_with_its_cluster_and_is_told_of_after_it(api: Api, shop: str) -> None:
    ids = begun(api, shop, exported(api, shop))
    gone(api, shop)
    assert api.get(f"/v1/imports/{ids['import_id']}")["status"] == "failed"
    assert [one["id"] for one in api.get(f"/v1/imports?cluster={shop}")["imports"]] == [ids["import_id"]]


def test_lists_are_of_a_cluster_or_of_all_and_in_pages(api: Api, shop: str) -> None:
    mine = []
    for _ in range(3):
        ids = begun(api, shop, exported(api, shop))
        api.hear(imports.ImportCompleted(**ids, **of_it(), facts=FACTS))
        mine.insert(0, ids["import_id"])
    assert [one["id"] for one in api.get(f"/v1/clusters/{shop}/imports")["imports"]] == mine
    first = api.get("/v1/imports?limit=2")
    assert [one["id"] for one in [*first["imports"], *api.get(first["next"])["imports"]]] == mine
