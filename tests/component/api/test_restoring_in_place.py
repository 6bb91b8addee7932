"""A cluster restored in place over HTTP; what datastore_agentless says is told by hand."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from services.api.actions.access import DEFAULT_PROJECT
from shared.contracts.base import load, new_id, utcnow
from shared.contracts.datastore_agentless import PrimaryChanged
from shared.contracts.operations import OperationEnded
from shared.contracts.restores import ClusterRestoreConfirmed, ClusterRestored, ClusterRestoreUndone
from shared.contracts.values import Endpoint, Problem
from tests.component.api.test_backups import completed, shop
from tests.component.api.test_clusters import active
from tests.component.api.test_scaling import wished
from tests.support.api import Api

__all__ = ["shop"]
TIME = "2026-11-30T12:00:00+00:00"


def restored(cluster: str, backup: str, node: str, operation: str = "", after: float = 0.0) -> ClusterRestored:
    """The word that a cluster has other data, `after` so many seconds."""
    known = ClusterRestored(cluster_id=cluster, project_id=DEFAULT_PROJECT, operation_id=operation or new_id(),
                            restore_id=operation or new_id(), backup_id=backup, instance_id=node, purge_at=utcnow() + timedelta(days=7))  # fmt: skip
    return ClusterRestored(**{**vars(known), "occurred_at": known.occurred_at + timedelta(seconds=after)})


def ask(api: Api, cluster: str, body: dict[str, Any] | None = None, path: str = "", query: str = "") -> Any:
    return api.ask("POST", f"/v1/clusters/{cluster}/restore{path}{query}", body or {})


def node_of(api: Api, cluster: str) -> str:
    return str(api.get(f"/v1/clusters/{cluster}")["instances"][0]["id"])


def kept(api: Api, cluster: str) -> str:
    """A cluster that was restored; returns the operation."""
    backup = completed(api, cluster)
    operation = ask(api, cluster, {"backup": backup}).json["id"]
    api.hear(restored(cluster, backup, node_of(api, cluster), operation))
    return str(operation)


def end_of(api: Api, cluster: str, restore: str, operation: str, event: type[Any]) -> None:
    api.hear(event(cluster_id=cluster, project_id=DEFAULT_PROJECT, operation_id=operation, restore_id=restore))


def test_a_cluster_is_given_the_data_of_a_backup_and_shows_that_until_it_is_confirmed(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    answer = ask(api, shop, {"backup": backup})
    assert (answer.status_code, answer.json["kind"]) == (202, "restore_cluster"), answer.text
    (wish,) = wished(api, "cluster.restore_requested")
    assert json.loads(wish.body)["restore"] == {"backup_id": backup, "time": None}
    assert api.get(f"/v1/clusters/{shop}")["restored_in_place"] is None
    event = restored(shop, backup, node_of(api, shop), answer.json["id"])
    api.hear(event)
    shown = api.get(f"/v1/clusters/{shop}")["restored_in_place"]
    assert (shown["backup"], shown["time"], shown["instance"]) == (backup, None, node_of(api, shop))
    assert (shown["restore"], shown["purge_at"] > shown["restored_at"]) == (answer.json["id"], True)
    assert api.get("/v1/clusters")["clusters"][0]["restored_in_place"] == shown
    assert api.operation(answer.json["id"])["status"] == "succeeded"
    confirm = ask(api, shop, path="/confirm")
    assert (confirm.status_code, confirm.json["kind"]) == (202, "confirm_restore")
    assert len(wished(api, "restore.confirm_requested")) == 1
    end_of(api, shop, event.restore_id, confirm.json["id"], ClusterRestoreConfirmed)
    assert api.get(f"/v1/clusters/{shop}")["restored_in_place"] is None
    assert api.operation(confirm.json["id"])["status"] == "succeeded"


def test_what_it_had_is_given_back_and_the_operation_ends_once_the_other_data_are_gone(api: Api, shop: str) -> None:
    restore = kept(api, shop)
    undo = ask(api, shop, path="/undo")
    assert (undo.status_code, undo.json["kind"]) == (202, "undo_restore"), undo.text
    assert len(wished(api, "restore.undo_requested")) == 1
    end_of(api, shop, restore, undo.json["id"], ClusterRestoreUndone)
    assert api.get(f"/v1/clusters/{shop}")["restored_in_place"] is None
    assert api.operation(undo.json["id"])["status"] == "pending"
    api.hear(OperationEnded(cluster_id=shop, operation_id=undo.json["id"], status="succeeded"))
    assert api.operation(undo.json["id"])["status"] == "succeeded"
    assert ask(api, shop, {"backup": completed(api, shop)}).status_code == 202


def test_plans_say_what_comes_what_is_kept_and_change_nothing(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    before = api.rows("clusters"), api.rows("outbox")
    plan = ask(api, shop, {"backup": backup}, query="?plan=true").json["plan"]
    assert plan["moves"][0].startswith("the data of cluster shop, as of ")
    assert (api.rows("clusters"), api.rows("outbox")) == before
    kept(api, shop)
    for path, action in (("/confirm", "confirm"), ("/undo", "undo")):
        assert ask(api, shop, path=path, query="?plan=true").json["plan"]["hosts"][0]["host"] == action
    assert wished(api, "restore.undo_requested") == []


@pytest.mark.parametrize(("body", "field", "words"), [
    ({}, "backup", "is required, or a `time`"), ({"backup": "x"}, "backup", "UUID"), ({"time": "yesterday"}, "time", ""),
    ({"backup": "6f811716-0744-413b-ad49-f0107806eb37"}, "backup", "there is no backup"),
    ({"time": TIME}, "time", "no log is kept of this cluster"), ({"backup": new_id(), "cluster": "shop"}, "cluster", ""),
])  # fmt: skip
def test_what_cannot_be_restored_is_refused_by_the_field(
    api: Api, shop: str, body: dict[str, Any], field: str, words: str
) -> None:
    refused = ask(api, shop, body)
    assert refused.status_code == 422, refused.text
    assert [one["field"] for one in refused.json["errors"]] == [field]
    assert words in refused.json["errors"][0]["reason"]
    assert wished(api, "cluster.restore_requested") == []


def test_a_backup_of_another_engine_is_refused_by_the_field(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    other, operation = api.create("cache", datastore="redis 7.0")
    active(api, other, operation)
    refused = ask(api, other, {"backup": backup})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "backup")
    assert refused.json["errors"][0]["reason"] == "is of `pgsql 15`, and the cluster of `redis 7.0`"


def test_while_something_is_kept_no_other_restore_begins(api: Api, shop: str) -> None:
    kept(api, shop)
    again = ask(api, shop, {"backup": completed(api, shop)})
    assert (again.status_code, "confirm or undo that first" in again.text) == (409, True)


def test_where_nothing_is_kept_nothing_is_confirmed_or_undone(api: Api, shop: str) -> None:
    for path in ("/confirm", "/undo"):
        refused = ask(api, shop, path=path)
        assert (refused.status_code, "was not restored in place" in refused.text) == (409, True)


def test_it_is_undone_only_while_the_node_that_has_it_leads(api: Api, shop: str) -> None:
    kept(api, shop)
    shown = api.get(f"/v1/clusters/{shop}")
    api.hear(PrimaryChanged(cluster_id=shop, operation_id=new_id(), primary_id=new_id(), former_id=node_of(api, shop),
                            endpoint=load(Endpoint, shown["endpoint"])))  # fmt: skip
    refused = ask(api, shop, path="/undo")
    assert (refused.status_code, "switch over to shop-1 first" in refused.text) == (409, True)
    assert ask(api, shop, path="/confirm").status_code == 202


def test_a_restore_that_fails_leaves_the_cluster_as_it_was(api: Api, shop: str) -> None:
    operation = ask(api, shop, {"backup": completed(api, shop)}).json["id"]
    problem = Problem(step="fetch", message="the store has not all parts", what_to_do="restore another one")
    api.hear(OperationEnded(cluster_id=shop, operation_id=operation, status="failed", problem=problem))
    shown = api.get(f"/v1/clusters/{shop}")
    assert (shown["status"], shown["restored_in_place"], shown["operation"]) == ("active", None, None)
    assert api.ask("POST", f"/v1/operations/{operation}/retry", {}).status_code == 202


def test_words_that_come_late_or_twice_change_nothing(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    operation = ask(api, shop, {"backup": backup}).json["id"]
    event = restored(shop, backup, node_of(api, shop), operation, after=-5.0)
    end_of(api, shop, operation, new_id(), ClusterRestoreConfirmed)
    api.hear(event)
    api.hear(event)
    assert api.get(f"/v1/clusters/{shop}")["restored_in_place"] is None
    other = kept(api, shop)
    end_of(api, shop, operation, new_id(), ClusterRestoreUndone)
    assert api.get(f"/v1/clusters/{shop}")["restored_in_place"]["restore"] == other


def test_while_it_is_restored_no_other_change_begins(api: Api, shop: str) -> None:
    ask(api, shop, {"backup": completed(api, shop)})
    assert api.ask("POST", f"/v1/clusters/{shop}/restart", {}).status_code == 409
    assert api.ask("POST", f"/v1/clusters/{shop}/backups", {}).status_code == 409
