"""Incremental backups over HTTP: where there are none, why a full one was made, and what others build upon."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from services.api.actions.access import DEFAULT_PROJECT
from shared.contracts import backups
from shared.contracts.base import Event, new_id
from shared.contracts.datastore_agentless import DatastoreRegistered
from shared.contracts.scheduler import BackupExpired
from shared.contracts.values import Problem
from tests.component.api.test_backups import FACTS, begun, completed, shop
from tests.component.api.test_scaling import wished
from tests.support.api import Api

__all__ = ["shop"]
WHY = "has no incremental backups: each of them is a full one"
NEEDED = Problem(step="delete", message="the backup x builds upon this one", what_to_do="delete that one first")


@pytest.fixture
def full_only(api: Api) -> None:
    """The datastore of every cluster has no incremental backups."""
    api.hear(DatastoreRegistered(id=str(uuid5(NAMESPACE_URL, "pgsql 15")), manager="pgsql", version="15", image="debian-12",
                                 packages=("pgsql",), name="pgsql - 15", full_only=WHY))  # fmt: skip


def refused(answer: Any) -> str:
    assert answer.status_code == 422, answer.text
    ((field, message),) = ((one["field"], one["reason"]) for one in answer.json["errors"])
    assert field == "kind"
    return str(message)


def test_an_incremental_backup_of_an_engine_that_has_none_is_refused_at_once(
    api: Api, shop: str, full_only: None
) -> None:
    assert (
        refused(api.ask("POST", f"/v1/clusters/{shop}/backups", {"kind": "incremental"}))
        == f"must be full: pgsql - 15 {WHY}"
    )
    assert wished(api, "backup.requested") == []
    assert begun(api, shop)


def test_a_schedule_of_such_is_refused_when_it_is_made_and_when_it_is_changed(
    api: Api, shop: str, full_only: None
) -> None:
    path, wish = f"/v1/clusters/{shop}/schedules", {"cron": "0 3 * * *"}
    refused(api.ask("POST", path, {**wish, "kind": "incremental"}))
    made = api.ask("POST", path, wish).json
    refused(api.ask("PATCH", f"{path}/{made['id']}", {"kind": "incremental"}))
    assert api.ask("PATCH", f"{path}/{made['id']}", {"full_days": 3}).json["full_days"] == 3


def test_an_incremental_schedule_makes_a_full_one_each_week_unless_another_number_is_named(api: Api, shop: str) -> None:
    path = f"/v1/clusters/{shop}/schedules"
    made = api.ask("POST", path, {"cron": "0 3 * * *", "kind": "incremental"}).json
    assert (made["kind"], made["full_days"]) == ("incremental", 7)
    assert api.ask("PATCH", f"{path}/{made['id']}", {"full_days": 2}).json["full_days"] == 2
    for bad in (0, 366, "daily", None):
        answer = api.ask("POST", path, {"cron": "0 3 * * *", "full_days": bad})
        assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "full_days")


def test_a_full_backup_in_place_of_an_incremental_one_says_why(api: Api, shop: str) -> None:
    ids = begun(api, shop, kind="incremental")
    path = f"/v1/backups/{ids['backup_id']}"
    assert api.get(path)["kind"] == "incremental"
    told = {"instance_id": new_id(), "store": "local", "message": "a full one in place of an incremental one: no base"}
    api.hear(backups.BackupStarted(**ids, **told, project_id=DEFAULT_PROJECT, kind="full"))
    assert [api.get(path)[name] for name in ("status", "kind", "base", "message")] == [
        "running",
        "full",
        None,
        told["message"],
    ]
    api.hear(backups.BackupCompleted(**ids, **told, kind="full", facts=FACTS))
    assert [api.get(path)[name] for name in ("status", "kind", "base", "message")] == [
        "completed",
        "full",
        None,
        told["message"],
    ]


def test_a_backup_that_was_kept_since_another_builds_upon_it_is_as_good_as_before(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    operation = api.ask("DELETE", f"/v1/backups/{backup}").json["id"]
    api.hear(
        backups.BackupDeleteFailed(backup_id=backup, operation_id=operation, cluster_id=shop, problem=NEEDED, kept=True)
    )
    shown = api.get(f"/v1/backups/{backup}")
    assert (shown["status"], shown["message"]) == ("completed", f"it was not deleted: {NEEDED.message}")
    assert shown["facts"]["stored_bytes"] == FACTS.stored_bytes
    ended = api.operation(operation)
    assert (ended["status"], ended["problem"]["what_to_do"]) == ("failed", "delete that one first")
    again = api.ask("DELETE", f"/v1/backups/{backup}").json["id"]
    assert again != operation
    api.hear(backups.BackupDeleted(backup_id=backup, operation_id=again, cluster_id=shop))
    assert api.ask("GET", f"/v1/backups/{backup}").status_code == 404


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_backup_that_a_schedule_could_not_remove_is_completed_whatever_is_heard_first(
    api: Api, shop: str, order: tuple[int, ...]
) -> None:
    ids = {"backup_id": new_id(), "cluster_id": shop}
    by = {**ids, "operation_id": new_id()}
    events: list[Event] = [
        backups.BackupCompleted(**ids, operation_id=new_id(), instance_id=new_id(), facts=FACTS),
        BackupExpired(**by, schedule_id=new_id(), project_id=DEFAULT_PROJECT),
        backups.BackupDeleteFailed(**by, problem=NEEDED, kept=True),
    ]
    for number, one in enumerate(events):
        object.__setattr__(one, "occurred_at", one.occurred_at + timedelta(seconds=number))
    api.hear(*(events[number] for number in order))
    assert api.operation(by["operation_id"])["status"] == "failed"
    assert [row.status for row in api.rows("backups")] == ["completed"]
