"""Exports over HTTP; what datastore_agentless says and answers is told by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from services.api.actions.access import DEFAULT_PROJECT
from shared.contracts import exports
from shared.contracts.base import new_id
from shared.contracts.exports import ExportedTable
from shared.contracts.values import Problem
from tests.component.api.test_backups import completed, gone
from tests.component.api.test_clusters import active
from tests.component.api.test_scaling import wished
from tests.support.api import EXPORT_KEY, READER_URL, Api

PROBLEM = Problem(step="send", message="the store answers 507", what_to_do="make room")
WHOLE = bytes(range(256)) * 40
PSQL = "psql -qX -d dbname=postgres"
FACTS = exports.ExportFacts(
    engine="15.7", begun_at="2026-01-01T00:00:00Z", ended_at="2026-01-01T00:00:09Z", size_bytes=9 << 20,
    stored_bytes=len(WHOLE), sha256=hashlib.sha256(WHOLE).hexdigest(), file="shop-1.sql.zst", restore=PSQL,
    tools={"pg_dump": "15.7"}, databases=("shop",), tables=(ExportedTable(database="shop", table="public.orders", rows=7),),
    tables_total=1, rows=7, rows_exact=True,
)  # fmt: skip


@pytest.fixture
def shop(api: Api) -> str:
    """A cluster of PostgreSQL that serves."""
    cluster, operation = api.create(volume_gb=10)
    active(api, cluster, operation)
    return cluster


def begun(api: Api, cluster: str, **asked: Any) -> dict[str, str]:
    """An export that is asked for, as the ids that its events have."""
    answer = api.ask("POST", f"/v1/clusters/{cluster}/exports", asked)
    assert answer.status_code == 202, answer.text
    return {"export_id": answer.json["export"]["id"], "operation_id": answer.json["id"], "cluster_id": cluster}


def made(api: Api, cluster: str, **asked: Any) -> str:
    """An export that was asked for, and has been made."""
    ids = begun(api, cluster, **asked)
    of_it = {"project_id": DEFAULT_PROJECT, "instance_id": new_id(), "store": "local"}
    api.hear(exports.ExportCompleted(**ids, **of_it, facts=FACTS))
    return ids["export_id"]


@pytest.fixture
def shelf(api: Api, tmp_path: Path) -> Path:
    """A store beside DTrove that has the export's parts."""
    pieces = (WHOLE[:4000], WHOLE[4000:9000], WHOLE[9000:])
    for number, piece in enumerate(pieces, 1):
        (tmp_path / f"part-{number}").write_bytes(piece)
        api.databases.files.append(str(tmp_path / f"part-{number}"))
    return tmp_path


def test_an_export_is_shown_from_the_wish_to_its_end_with_the_line_that_restores_it(api: Api, shop: str) -> None:
    answer = api.ask("POST", f"/v1/clusters/{shop}/exports", {"databases": ["shop"], "tables": ["orders"]})
    assert (answer.status_code, answer.json["kind"], answer.json["status"]) == (202, "export", "pending")
    export = answer.json["export"]
    assert (export["status"], export["format"], export["facts"], export["encrypted"]) == (
        "requested",
        "sql",
        None,
        True,
    )
    (wish,) = wished(api, "export.requested")
    told = json.loads(wish.body)
    assert (told["export_id"], told["databases"], told["tables"], told["format"]) == (
        export["id"],
        ["shop"],
        ["orders"],
        "sql",
    )
    ids = {"export_id": export["id"], "operation_id": answer.json["id"], "cluster_id": shop}
    of_it = {"project_id": DEFAULT_PROJECT, "instance_id": new_id(), "store": "local"}
    api.hear(exports.ExportStarted(**ids, **of_it))
    assert api.get(f"/v1/exports/{export['id']}")["status"] == "running"
    api.hear(exports.ExportCompleted(**ids, **of_it, facts=FACTS))
    shown = api.get(f"/v1/exports/{export['id']}")
    assert (shown["status"], shown["store"], shown["cluster_name"]) == ("completed", "local", "shop")
    assert shown["facts"]["file"] == "shop-1.sql.zst.age"
    assert shown["facts"]["command"] == f"age -d -i shop-1.key shop-1.sql.zst.age | zstd -dc | {PSQL}"
    assert shown["facts"]["tables"] == [{"database": "shop", "table": "public.orders", "rows": 7}]
    (listed,) = api.get("/v1/exports")["exports"]
    assert (listed["facts"]["tables"], listed["facts"]["tables_total"]) == ([], 1)
    assert api.operation(answer.json["id"])["result"] == {"export": export["id"]}


def test_one_that_is_not_encrypted_needs_no_key(api: Api, shop: str) -> None:
    export = made(api, shop, encrypted=False)
    shown = api.get(f"/v1/exports/{export}")
    assert (shown["facts"]["file"], shown["facts"]["command"]) == (
        "shop-1.sql.zst",
        f"zstd -dc shop-1.sql.zst | {PSQL}",
    )
    assert api.ask("GET", f"/v1/exports/{export}/key", token=api.member).status_code == 409


@pytest.mark.parametrize(("body", "field"), [
    ({"format": "rdb"}, "format"), ({"format": "xml"}, "format"), ({"format": "custom"}, "databases"),
    ({"tables": ["orders"]}, "tables"), ({"tables": ["orders"], "databases": ["a", "b"]}, "tables"),
    ({"databases": "shop"}, "databases"), ({"databases": ["a\nb"]}, "databases.0"), ({"databases": [""]}, "databases.0"),
    ({"store": "../x"}, "store"), ({"encrypted": 1}, "encrypted"), ({"colour": 1}, "colour"),
])  # fmt: skip
def test_what_no_engine_exports_is_refused_by_the_field(api: Api, shop: str, body: Any, field: str) -> None:
    refused = api.ask("POST", f"/v1/clusters/{shop}/exports", body)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, field)
    assert wished(api, "export.requested") == []


def test_an_export_only_reads_so_nothing_else_waits_for_it(api: Api, shop: str) -> None:
    begun(api, shop)
    assert api.ask("POST", f"/v1/clusters/{shop}/restart", {}).status_code == 202


def test_a_cluster_that_has_no_data_yet_is_not_exported(api: Api) -> None:
    cluster, _ = api.create()
    refused = api.ask("POST", f"/v1/clusters/{cluster}/exports", {})
    assert (refused.status_code, "nothing to export" in refused.json["detail"]) == (409, True)


def test_an_export_that_fails_says_why_and_goes_on_when_its_operation_is_retried(api: Api, shop: str) -> None:
    ids = begun(api, shop)
    api.hear(exports.ExportFailed(**ids, problem=PROBLEM))
    path = f"/v1/exports/{ids['export_id']}"
    shown = api.get(path)
    assert (shown["status"], shown["message"], shown["problem"]["what_to_do"]) == (
        "failed",
        PROBLEM.message,
        "make room",
    )
    assert api.ask("POST", f"/v1/operations/{ids['operation_id']}/retry").status_code == 202
    assert (api.get(path)["status"], api.get(path)["problem"]) == ("requested", None)


def test_its_content_is_whole_or_the_bytes_that_are_asked_for(api: Api, shop: str, shelf: Path) -> None:
    path = f"/v1/exports/{made(api, shop)}/content"
    whole = api.ask("GET", path, token=api.member)
    assert (whole.status_code, whole.content) == (200, WHOLE)
    assert whole.headers["content-length"] == str(len(WHOLE))
    assert (whole.headers["accept-ranges"], whole.headers["etag"]) == ("bytes", f'"{FACTS.sha256}"')
    assert 'filename="shop-1.sql.zst.age"' in whole.headers["content-disposition"]
    part = api.ask("GET", path, token=api.member, headers={"Range": "bytes=3990-4009"})
    assert (part.status_code, part.content) == (206, WHOLE[3990:4010])
    assert part.headers["content-range"] == f"bytes 3990-4009/{len(WHOLE)}"
    rest = api.ask("GET", path, token=api.member, headers={"Range": "bytes=9990-", "If-Range": f'"{FACTS.sha256}"'})
    assert (rest.status_code, rest.content) == (206, WHOLE[9990:])
    other = api.ask("GET", path, token=api.member, headers={"Range": "bytes=9990-", "If-Range": '"another"'})
    assert (other.status_code, len(other.content)) == (200, len(WHOLE))
    beyond = api.ask("GET", path, token=api.member, headers={"Range": f"bytes={len(WHOLE)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(WHOLE)}")
    assert [one.action for one in api.rows("audit")].count("export.read") == 5


def test_content_in_an_object_store_is_had_there(api: Api, shop: str) -> None:
    api.databases.in_object_store = True
    answer = api.ask("GET", f"/v1/exports/{made(api, shop)}/content", token=api.member)
    assert (answer.status_code, answer.headers["location"], answer.content) == (307, READER_URL, b"")


def test_content_that_this_api_does_not_see_is_told_of(api: Api, shop: str, tmp_path: Path) -> None:
    api.databases.files.append(str(tmp_path / "elsewhere"))
    refused = api.ask("GET", f"/v1/exports/{made(api, shop)}/content", token=api.member)
    assert (refused.status_code, "does not see" in refused.json["detail"]) == (409, True)


def test_its_key_is_for_members_and_that_it_was_read_is_written_down(api: Api, shop: str) -> None:
    export = made(api, shop)
    assert api.ask("GET", f"/v1/exports/{export}/key", token=api.reader).status_code == 403
    assert api.ask("GET", f"/v1/exports/{export}/content", token=api.reader).status_code == 403
    answer = api.ask("GET", f"/v1/exports/{export}/key", token=api.member)
    assert answer.json == {"key": EXPORT_KEY, "file": "shop-1.key"}
    assert [one.subject for one in api.rows("audit") if one.action == "export_key.read"] == [export]


def test_what_is_not_whole_cannot_be_had(api: Api, shop: str) -> None:
    export = begun(api, shop)["export_id"]
    for what in ("content", "key"):
        assert api.ask("GET", f"/v1/exports/{export}/{what}", token=api.member).status_code == 409


def test_an_export_is_deleted_by_an_operation_also_once_its_cluster_is_gone(api: Api, shop: str) -> None:
    export = made(api, shop)
    gone(api, shop)
    answer = api.ask("DELETE", f"/v1/exports/{export}")
    assert (answer.status_code, answer.json["export"]["status"]) == (202, "deleting")
    assert api.ask("DELETE", f"/v1/exports/{export}").json["id"] == answer.json["id"]
    ids = {"export_id": export, "cluster_id": shop, "operation_id": answer.json["id"]}
    api.hear(exports.ExportDeleteFailed(**ids, problem=PROBLEM))
    assert api.get(f"/v1/exports/{export}")["status"] == "failed"
    again = api.ask("DELETE", f"/v1/exports/{export}").json["id"]
    api.hear(exports.ExportDeleted(**ids | {"operation_id": again}))
    assert api.ask("GET", f"/v1/exports/{export}").status_code == 404
    assert api.operation(again)["status"] == "succeeded"


def test_what_is_being_made_is_not_deleted_and_ends_with_its_cluster(api: Api, shop: str) -> None:
    ids = begun(api, shop)
    assert api.ask("DELETE", f"/v1/exports/{ids['export_id']}").status_code == 409
    gone(api, shop)
    assert api.get(f"/v1/exports/{ids['export_id']}")["status"] == "failed"


def test_a_late_word_of_its_beginning_changes_nothing(api: Api, shop: str) -> None:
    ids = begun(api, shop)
    of_it = {"project_id": DEFAULT_PROJECT, "instance_id": new_id(), "store": "local"}
    started = exports.ExportStarted(**ids, **of_it)
    api.hear(exports.ExportCompleted(**ids, **of_it, facts=FACTS))
    api.hear(started)
    assert api.get(f"/v1/exports/{ids['export_id']}")["status"] == "completed"


def test_exports_count_as_what_is_kept_and_keep_a_project_from_being_deleted(api: Api, shop: str) -> None:
    path = f"/v1/projects/{DEFAULT_PROJECT}/quotas"
    api.ask("PUT", path, {"backup_gb": 1}, token=api.admin)
    export = made(api, shop)
    assert api.get(path)["used"]["backup_gb"] == 1, "a begun GB counts"
    completed(api, shop, 3 << 30)
    refused = api.ask("POST", f"/v1/clusters/{shop}/exports", {})
    assert (refused.status_code, "may have 1 GB of backups and exports; it has 4" in refused.json["detail"]) == (
        409,
        True,
    )
    ids = {
        "export_id": export,
        "cluster_id": shop,
        "operation_id": api.ask("DELETE", f"/v1/exports/{export}").json["id"],
    }
    api.hear(exports.ExportDeleted(**ids))
    assert api.get(path)["used"]["backup_gb"] == 3


def test_a_project_that_has_exports_is_not_deleted(api: Api) -> None:
    project = api.project("other")
    api.member = api.token("member", project)
    cluster, operation = api.create()
    active(api, cluster, operation)
    asked = api.ask("POST", f"/v1/clusters/{cluster}/exports", {}).json
    ids = {"export_id": asked["export"]["id"], "operation_id": asked["id"], "cluster_id": cluster}
    of_it = {"project_id": project, "instance_id": new_id(), "store": "local"}
    api.hear(exports.ExportCompleted(**ids, **of_it, facts=FACTS))
    gone(api, cluster)
    refused = api.ask("DELETE", f"/v1/projects/{project}", token=api.admin)
    assert (refused.status_code, "still has exports" in refused.json["detail"]) == (409, True)
    api.hear(exports.ExportDeleted(**ids | {"operation_id": new_id()}))
    assert api.ask("DELETE", f"/v1/projects/{project}", token=api.admin).status_code == 204


def test_lists_are_of_a_cluster_or_of_all_and_in_pages(api: Api, shop: str) -> None:
    mine = [made(api, shop) for _ in range(3)][::-1]
    assert [one["id"] for one in api.get(f"/v1/clusters/{shop}/exports")["exports"]] == mine
    first = api.get("/v1/exports?limit=2")
    assert [one["id"] for one in [*first["exports"], *api.get(first["next"])["exports"]]] == mine
    gone(api, shop)
    assert len(api.get("/v1/exports?deleted_clusters=true")["exports"]) == 3
