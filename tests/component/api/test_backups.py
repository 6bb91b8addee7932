"""Backups over HTTP; what the other services say is told by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from services.api.actions.access import DEFAULT_PROJECT
from shared.contracts import backups
from shared.contracts.base import new_id
from shared.contracts.datastore_agentless import ClusterDeleted
from shared.contracts.values import Problem
from tests.component.api.test_clusters import active
from tests.component.api.test_scaling import wished
from tests.support.api import Api

FACTS = backups.BackupFacts(engine="15.7", begun_at="2026-01-01T00:00:00Z", ended_at="2026-01-01T00:00:09Z", position="0/3000060",
                            size_bytes=9 << 20, stored_bytes=3 << 20, parts=1)  # fmt: skip
PROBLEM = Problem(step="send", message="the store answers 507", what_to_do="make room")
SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def shop(api: Api) -> str:
    """A cluster that serves."""
    cluster, operation = api.create(volume_gb=10)
    active(api, cluster, operation)
    return cluster


def begun(api: Api, cluster: str, **asked: Any) -> dict[str, str]:
    """A backup that is asked for, as the ids that its events have."""
    answer = api.ask("POST", f"/v1/clusters/{cluster}/backups", asked)
    assert answer.status_code == 202, answer.text
    return {"backup_id": answer.json["backup"]["id"], "operation_id": answer.json["id"], "cluster_id": cluster}


def completed(api: Api, cluster: str, stored_bytes: int = 3 << 20) -> str:
    """A backup that was asked for, and has been made."""
    ids = begun(api, cluster)
    facts = replace(FACTS, stored_bytes=stored_bytes)
    api.hear(backups.BackupCompleted(**ids, instance_id=new_id(), store="local", facts=facts))
    return ids["backup_id"]


def gone(api: Api, cluster: str) -> None:
    """The cluster is deleted."""
    delete = api.ask("DELETE", f"/v1/clusters/{cluster}").headers["location"].rpartition("/")[2]
    api.hear(ClusterDeleted(cluster_id=cluster, operation_id=delete))


def listed(api: Api, path: str = "/v1/backups") -> list[str]:
    return [one["id"] for one in api.get(path)["backups"]]


def test_a_backup_is_shown_from_the_wish_to_its_end_with_what_its_cluster_was(api: Api, shop: str) -> None:
    answer = api.ask("POST", f"/v1/clusters/{shop}/backups", {"store": "minio"})
    assert (answer.status_code, answer.json["kind"], answer.json["status"]) == (202, "backup", "pending")
    backup, ids = answer.json["backup"], begun_ids(answer.json)
    assert (backup["status"], backup["store"], backup["facts"], backup["volume_gb"]) == ("requested", "minio", None, 10)
    (wish,) = wished(api, "backup.requested")
    assert (json.loads(wish.body)["store"], json.loads(wish.body)["backup_id"]) == ("minio", backup["id"])
    node = new_id()
    api.hear(backups.BackupStarted(**ids, project_id=DEFAULT_PROJECT, instance_id=node, kind="full", store="minio"))
    assert api.get(f"/v1/backups/{backup['id']}")["status"] == "running"
    api.hear(backups.BackupCompleted(**ids, instance_id=node, store="minio", facts=FACTS))
    shown = api.get(f"/v1/backups/{backup['id']}")
    assert (shown["status"], shown["cluster_name"], shown["flavor"]["name"]) == ("completed", "shop", "medium")
    assert (shown["facts"]["stored_bytes"], shown["facts"]["position"]) == (3 << 20, "0/3000060")
    assert shown["started_at"] < shown["finished_at"]
    assert api.operation(answer.json["id"])["result"] == {"backup": backup["id"]}
    topics = [one["type"] for one in api.get("/v1/events?limit=100")["events"]]
    assert topics[-3:] == ["backup.requested", "backup.started", "backup.completed"]


def begun_ids(answer: dict[str, Any]) -> dict[str, str]:
    return {"backup_id": answer["backup"]["id"], "operation_id": answer["id"], "cluster_id": answer["cluster"]}


def test_what_nobody_has_said_of_a_backup_is_null(api: Api, shop: str) -> None:
    ids = begun(api, shop)
    api.hear(backups.BackupCompleted(**ids, instance_id=new_id()))
    shown = api.get(f"/v1/backups/{ids['backup_id']}")
    assert (shown["status"], set(shown["facts"].values())) == ("completed", {None})


def test_a_backup_that_fails_says_why_and_goes_on_when_its_operation_is_retried(api: Api, shop: str) -> None:
    ids = begun(api, shop)
    api.hear(backups.BackupFailed(**ids, problem=PROBLEM))
    path = f"/v1/backups/{ids['backup_id']}"
    shown = api.get(path)
    assert (shown["status"], shown["message"], shown["problem"]["what_to_do"]) == (
        "failed",
        PROBLEM.message,
        "make room",
    )
    assert api.ask("POST", f"/v1/operations/{ids['operation_id']}/retry").status_code == 202
    shown = api.get(path)
    assert (shown["status"], shown["message"], shown["problem"]) == ("requested", "", None)
    api.hear(backups.BackupCompleted(**ids, instance_id=new_id(), facts=FACTS))
    assert api.get(path)["status"] == "completed"


def test_a_backup_that_is_cancelled_is_failed_and_its_operation_cancelled(api: Api, shop: str) -> None:
    ids = begun(api, shop)
    assert api.ask("POST", f"/v1/operations/{ids['operation_id']}/cancel").status_code == 202
    api.hear(backups.BackupFailed(**ids, problem=PROBLEM, cancelled=True))
    assert api.get(f"/v1/backups/{ids['backup_id']}")["status"] == "failed"
    assert api.operation(ids["operation_id"])["status"] == "cancelled"


@pytest.mark.parametrize(("body", "field"), [
    ({"kind": "half"}, "kind"), ({"store": "../x"}, "store"), ({"store": 1}, "store"), ({"colour": 1}, "colour"),
])  # fmt: skip
def test_a_backup_of_no_known_kind_is_refused_by_the_field(api: Api, shop: str, body: Any, field: str) -> None:
    refused = api.ask("POST", f"/v1/clusters/{shop}/backups", body)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, field)
    assert wished(api, "backup.requested") == []


def test_lists_are_of_a_cluster_or_of_all_by_state_and_in_pages(api: Api, shop: str) -> None:
    other, operation = api.create("other")
    active(api, other, operation)
    mine, theirs = [completed(api, shop) for _ in range(3)], completed(api, other)
    api.hear(backups.BackupFailed(**begun(api, other), problem=PROBLEM))
    assert listed(api, f"/v1/clusters/{shop}/backups") == listed(api, f"/v1/backups?cluster={shop}") == mine[::-1]
    assert listed(api, "/v1/backups?status=completed") == [theirs, *mine[::-1]]
    first = api.get("/v1/backups?limit=3")
    assert len(first["backups"]) == 3
    assert listed(api, first["next"]) == [mine[1], mine[0]]
    gone(api, shop)
    assert listed(api, "/v1/backups?deleted_clusters=true") == mine[::-1]
    assert listed(api, "/v1/backups?deleted_clusters=true&limit=1") == mine[:1:-1]
    assert api.ask("GET", f"/v1/clusters/{shop}/backups").status_code == 404
    for bad in ("marker=x", "cluster=shop", "deleted_clusters=perhaps", "limit=0"):
        assert api.ask("GET", f"/v1/backups?{bad}").status_code == 422


def test_a_backup_is_deleted_by_an_operation_also_once_its_cluster_is_gone(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    gone(api, shop)
    assert api.get(f"/v1/backups/{backup}")["status"] == "completed"
    answer = api.ask("DELETE", f"/v1/backups/{backup}")
    assert (answer.status_code, answer.json["kind"], answer.json["backup"]["status"]) == (
        202,
        "delete_backup",
        "deleting",
    )
    assert api.ask("DELETE", f"/v1/backups/{backup}").json["id"] == answer.json["id"], "asked again it is the same"
    (wish,) = wished(api, "backup.delete_requested")
    assert json.loads(wish.body)["backup_id"] == backup
    ids = {"backup_id": backup, "operation_id": answer.json["id"], "cluster_id": shop}
    api.hear(backups.BackupDeleted(**ids))
    assert api.operation(answer.json["id"])["status"] == "succeeded"
    assert listed(api) == []
    assert {api.ask(method, f"/v1/backups/{backup}").status_code for method in ("GET", "DELETE")} == {404}
    assert api.get("/v1/events?limit=100")["events"][-1]["type"] == "backup.deleted"


def test_a_delete_of_a_cluster_leaves_the_delete_of_a_backup_alone(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    assert begun(api, shop), "a backup is deleted beside other operations"
    operation = api.ask("DELETE", f"/v1/backups/{backup}").json["id"]
    gone(api, shop)
    assert api.operation(operation)["status"] == "pending"
    for act in ("cancel", "retry"):
        assert api.ask("POST", f"/v1/operations/{operation}/{act}").status_code == 409


def test_what_could_not_be_deleted_says_so_and_can_be_deleted_again(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    first = api.ask("DELETE", f"/v1/backups/{backup}").json["id"]
    api.hear(backups.BackupDeleteFailed(backup_id=backup, operation_id=first, cluster_id=shop, problem=PROBLEM))
    shown = api.get(f"/v1/backups/{backup}")
    assert (shown["status"], shown["message"]) == ("failed", "it could not be deleted: the store answers 507")
    assert api.operation(first)["problem"]["what_to_do"] == "make room"
    assert api.ask("POST", f"/v1/operations/{first}/retry").json["detail"].endswith("delete the backup again")
    assert api.ask("DELETE", f"/v1/backups/{backup}").json["id"] != first


def test_what_is_being_made_or_built_upon_is_not_deleted(api: Api, shop: str) -> None:
    base = completed(api, shop)
    ids = begun(api, shop, kind="incremental")
    refused = api.ask("DELETE", f"/v1/backups/{ids['backup_id']}")
    assert (refused.status_code, ids["operation_id"] in refused.json["detail"]) == (409, True)
    api.hear(backups.BackupCompleted(**ids, instance_id=new_id(), kind="incremental", base_id=base))
    refused = api.ask("DELETE", f"/v1/backups/{base}")
    assert (refused.status_code, "builds upon" in refused.json["detail"]) == (409, True)
    assert api.ask("DELETE", f"/v1/backups/{ids['backup_id']}").status_code == 202
    assert api.ask("DELETE", f"/v1/backups/{base}").status_code == 202


def test_what_was_being_made_of_a_cluster_that_is_gone_has_failed(api: Api, shop: str) -> None:
    ids = begun(api, shop)
    gone(api, shop)
    shown = api.get(f"/v1/backups/{ids['backup_id']}")
    assert (shown["status"], shown["message"]) == ("failed", "its cluster was deleted meanwhile")
    assert api.ask("DELETE", f"/v1/backups/{ids['backup_id']}").status_code == 202


def test_a_project_with_backups_stays(api: Api) -> None:
    project = api.project("team")
    member = api.token("member", project)
    made = api.ask("POST", "/v1/clusters", {"name": "shop", "datastore": "pgsql 15"}, token=member)
    cluster, operation = made.json["id"], made.headers["location"].rpartition("/")[2]
    ids = {"backup_id": new_id(), "operation_id": new_id(), "cluster_id": cluster}
    api.hear(backups.BackupCompleted(**ids, instance_id=new_id(), facts=FACTS),
             ClusterDeleted(cluster_id=cluster, operation_id=operation))  # fmt: skip
    refused = api.ask("DELETE", f"/v1/projects/{project}", token=api.admin)
    assert (refused.status_code, "still has backups" in refused.json["detail"]) == (409, True)
    api.hear(backups.BackupDeleted(**ids))
    assert api.ask("DELETE", f"/v1/projects/{project}", token=api.admin).status_code == 204


def test_backups_count_for_the_quota_from_the_wish_on_until_they_are_gone(api: Api, shop: str) -> None:
    path = f"/v1/projects/{DEFAULT_PROJECT}/quotas"
    api.ask("PUT", path, {"backups": 2, "backup_gb": 4}, token=api.admin)
    first = completed(api, shop, 3 << 30)
    assert api.get(path)["used"] == {"clusters": 1, "instances": 1, "volume_gb": 10, "backups": 1, "backup_gb": 3}
    refused = api.ask("POST", f"/v1/clusters/{shop}/backups", {})
    assert (
        refused.status_code,
        "may have 4 GB of backups and exports; it has 3, and this needs 3 more" in refused.json["detail"],
    ) == (
        409,
        True,
    )
    assert "delete a backup" in refused.json["detail"]
    api.ask("PUT", path, {"backups": 2}, token=api.admin)
    ids = begun(api, shop)
    assert (api.get(path)["used"]["backups"], api.get(path)["used"]["backup_gb"]) == (2, 6), "it may become as large"
    api.hear(backups.BackupFailed(**ids, problem=PROBLEM))
    assert (api.get(path)["used"]["backups"], api.get(path)["used"]["backup_gb"]) == (1, 3)
    completed(api, shop)
    assert "may have 2 backups; it has 2" in api.ask("POST", f"/v1/clusters/{shop}/backups", {}).json["detail"]
    operation = api.ask("DELETE", f"/v1/backups/{first}").json["id"]
    api.hear(backups.BackupDeleted(backup_id=first, operation_id=operation, cluster_id=shop))
    assert api.get(path)["used"]["backup_gb"] == 1, "a begun GB counts"
    assert begun(api, shop)


def test_what_has_no_body_yet_is_not_backed_up(api: Api) -> None:
    cluster, _ = api.create()
    assert api.ask("POST", f"/v1/clusters/{cluster}/backups").status_code == 409
