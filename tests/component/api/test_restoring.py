"""A cluster that begins with a backup, and one that ends with one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.api.actions.access import DEFAULT_PROJECT
from shared.contracts import backups
from shared.contracts.base import new_id
from shared.contracts.datastore_agentless import ClusterDeleted
from tests.component.api.test_backups import FACTS, PROBLEM, begun, completed, gone, shop
from tests.component.api.test_clusters import active
from tests.component.api.test_scaling import wished
from tests.support.api import Api

__all__ = ["shop"]


def asked(api: Api, backup: str, query: str = "", **wish: Any) -> Any:
    body = {"name": "again", "datastore": "pgsql 15", "volume_gb": 10, "restore": {"backup": backup}, **wish}
    return api.ask("POST", f"/v1/clusters{query}", body)


def test_a_cluster_begins_with_a_backup_of_whatever_size_and_flavor(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    gone(api, shop)
    answer = asked(api, backup, size=2, flavor="small", volume_gb=20)
    assert (answer.status_code, answer.json["restored_from"]) == (202, backup)
    wish = json.loads(wished(api, "cluster.requested")[-1].body)
    assert (wish["restore"], wish["size"], wish["volume_gb"]) == ({"backup_id": backup, "time": None}, 2, 20)
    assert [one["restored_from"] for one in api.get("/v1/clusters")["clusters"]] == [backup]


def test_a_plan_says_whose_data_go_where_and_changes_nothing(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    before = api.rows("clusters"), api.rows("outbox")
    plan = asked(api, backup, "?plan=true").json["plan"]
    assert plan["moves"][-1].startswith("the data of cluster shop, as of ")
    assert plan["moves"][-1].endswith(": to again-1")
    assert (api.rows("clusters"), api.rows("outbox")) == before
    assert asked(api, new_id(), "?plan=true").status_code == 422


@pytest.mark.parametrize(("wish", "field", "words"), [
    ({"datastore": "redis 7.0"}, "datastore", "must be `pgsql 15`"),
    ({"volume_gb": 9}, "volume_gb", "must be at least 10"),
    ({"restore": {}}, "restore.backup", ""), ({"restore": {"backup": "x"}}, "restore.backup", "UUID"),
    ({"restore": {"backup": "6f811716-0744-413b-ad49-f0107806eb37"}}, "restore.backup", "there is no backup"),
    ({"databases": [{"name": "shop"}]}, "databases", "come with the backup"),
    ({"users": [{"name": "ann", "password": "long-enough-1"}]}, "users", "come with the backup"),
])  # fmt: skip
def test_a_backup_that_does_not_fit_is_refused_by_the_field(
    api: Api, shop: str, wish: dict[str, Any], field: str, words: str
) -> None:
    refused = asked(api, completed(api, shop), **wish)
    assert refused.status_code == 422, refused.text
    assert [one["field"] for one in refused.json["errors"]] == [field]
    assert words in refused.json["errors"][0]["reason"]
    assert len(api.rows("clusters")) == 1


def test_a_disk_counts_where_there_is_no_volume(api: Api) -> None:
    bare, operation = api.create("bare")
    active(api, bare, operation)
    backup = completed(api, bare)
    assert asked(api, backup, volume_gb=None).status_code == 202, "the flavor's disk is as large as it was"
    assert asked(api, backup, name="small", volume_gb=9).status_code == 422
    large, operation = api.create("large", volume_gb=100)
    active(api, large, operation)
    refused = asked(api, completed(api, large), name="other", volume_gb=None)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "volume_gb")
    assert "of 100 or more" in refused.json["errors"][0]["reason"]


def test_only_what_is_completed_and_ones_own_is_restored(api: Api, shop: str) -> None:
    ids = begun(api, shop)
    refused = asked(api, ids["backup_id"]).json["errors"][0]["reason"]
    assert refused == "is requested: only what is completed can be restored"
    api.hear(backups.BackupCompleted(**ids, instance_id=new_id(), facts=FACTS))
    body = {"name": "stolen", "datastore": "pgsql 15", "restore": {"backup": ids["backup_id"]}}
    stranger = api.ask("POST", "/v1/clusters", body, token=api.token("admin", api.project()))
    assert (stranger.status_code, "there is no backup" in stranger.text) == (422, True)
    assert api.ask("DELETE", f"/v1/backups/{ids['backup_id']}").status_code == 202
    assert "is deleting" in asked(api, ids["backup_id"]).text


def test_a_backup_stays_while_a_cluster_is_restored_from_it(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    made = asked(api, backup)
    refused = api.ask("DELETE", f"/v1/backups/{backup}")
    assert (refused.status_code, "again is being restored" in refused.json["detail"]) == (409, True)
    active(api, made.json["id"], made.headers["location"].rpartition("/")[2])
    assert api.ask("DELETE", f"/v1/backups/{backup}").status_code == 202


def last(api: Api, cluster: str) -> tuple[Any, dict[str, str]]:
    """A deletion with a last backup, and the ids of that."""
    answer = api.ask("DELETE", f"/v1/clusters/{cluster}?final_backup=true")
    assert answer.status_code == 202, answer.text
    operation = answer.headers["location"].rpartition("/")[2]
    (backup,) = api.get(f"/v1/clusters/{cluster}/backups?limit=1")["backups"]
    return answer, {"backup_id": backup["id"], "operation_id": operation, "cluster_id": cluster}


def test_a_cluster_is_deleted_once_its_last_backup_is_completed(api: Api, shop: str) -> None:
    answer, ids = last(api, shop)
    assert (answer.json["status"], "last backup" in answer.json["message"]) == ("active", True)
    assert last(api, shop)[1] == ids, "asked again it is the same"
    assert wished(api, "cluster.delete_requested") == []
    api.hear(backups.BackupCompleted(**ids, instance_id=new_id(), facts=FACTS))
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["status"], api.operation(shown["operation"])["kind"]) == ("deleting", "delete_cluster")
    assert len(wished(api, "cluster.delete_requested")) == 1
    assert last(api, shop)[0].headers["location"].endswith(shown["operation"])
    api.hear(ClusterDeleted(cluster_id=shop, operation_id=shown["operation"]))
    assert api.get(f"/v1/backups/{ids['backup_id']}")["status"] == "completed"


def test_a_cluster_whose_last_backup_fails_stays_and_says_so(api: Api, shop: str) -> None:
    _, ids = last(api, shop)
    api.hear(backups.BackupFailed(**ids, problem=PROBLEM))
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["status"], shown["message"]) == (
        "active", "it was not deleted, for its last backup has failed: the store answers 507",
    )  # fmt: skip
    assert api.ask("POST", f"/v1/operations/{ids['operation_id']}/retry").status_code == 202
    api.hear(backups.BackupCompleted(**ids, instance_id=new_id(), facts=FACTS))
    assert api.get(f"/v1/clusters/{shop}")["status"] == "active", "what was given up is not taken up again"


def test_a_cluster_that_is_protected_meanwhile_stays(api: Api, shop: str) -> None:
    _, ids = last(api, shop)
    api.ask("PATCH", f"/v1/clusters/{shop}", {"deletion_protection": True})
    api.hear(backups.BackupCompleted(**ids, instance_id=new_id(), facts=FACTS))
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["status"], "protected" in shown["message"]) == ("active", True)
    assert api.ask("DELETE", f"/v1/clusters/{shop}?final_backup=true").status_code == 409


def test_a_last_backup_is_refused_where_there_is_nothing_to_back_up_or_no_room(api: Api, shop: str) -> None:
    fresh, _ = api.create("fresh")
    assert "nothing to back up" in api.ask("DELETE", f"/v1/clusters/{fresh}?final_backup=true").json["detail"]
    api.ask("PUT", f"/v1/projects/{DEFAULT_PROJECT}/quotas", {"backups": 0}, token=api.admin)
    assert "may have 0 backups" in api.ask("DELETE", f"/v1/clusters/{shop}?final_backup=true").json["detail"]
    assert api.ask("DELETE", f"/v1/clusters/{shop}").status_code == 202


def test_a_cluster_can_be_deleted_at_once_though_its_last_backup_is_being_made(api: Api, shop: str) -> None:
    _, ids = last(api, shop)
    delete = api.ask("DELETE", f"/v1/clusters/{shop}")
    assert delete.json["status"] == "deleting"
    api.hear(backups.BackupCompleted(**ids, instance_id=new_id(), facts=FACTS))
    assert len(wished(api, "cluster.delete_requested")) == 1
