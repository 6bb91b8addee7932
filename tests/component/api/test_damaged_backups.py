"""Backups that their stores do not have any more as they were, over HTTP; what the other services say is told by hand."""

from __future__ import annotations

from typing import Any

import pytest

from services.api.actions.proving import unproven
from shared.contracts import backups
from shared.contracts.base import new_id
from shared.contracts.values import Problem
from tests.component.api.test_backup_metrics import of
from tests.component.api.test_backups import FACTS, begun, completed, shop
from tests.component.api.test_checks import looked
from tests.component.api.test_proving import PROOF, asked, ids_of
from tests.support.api import Api

__all__ = ["shop"]
LOST = Problem(step="restore", message="part 2 is missing in the store local", what_to_do="restore another backup")


def damage(api: Api, shop: str, backup: str) -> None:
    """It is found damaged by whoever restores it."""
    event = backups.BackupFailed(backup_id=backup, cluster_id=shop, operation_id=new_id(), problem=LOST, damaged=True)
    api.hear(event)


def shown(api: Api, backup: str) -> Any:
    return api.get(f"/v1/backups/{backup}")


@pytest.mark.fault(22)
def test_a_damaged_backup_is_failed_and_says_why_and_what_made_it_has_still_succeeded(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    finished = shown(api, backup)["finished_at"]
    damage(api, shop, backup)
    told = shown(api, backup)
    assert (told["status"], told["finished_at"]) == ("failed", finished)
    assert told["message"] == "it cannot be restored any more: part 2 is missing in the store local"
    assert told["problem"]["what_to_do"] == "restore another backup"
    assert api.operation(told["operation"])["status"] == "succeeded"
    assert "backup.failed" in [one["type"] for one in api.get("/v1/events?limit=100")["events"]]
    assert of(api, "dtrove_backup_stored_bytes")[0][1] == told["facts"]["stored_bytes"], (
        "it is there until it is deleted"
    )


@pytest.mark.fault(22)
def test_it_is_offered_for_no_restore(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    damage(api, shop, backup)
    refused = api.ask("POST", "/v1/clusters", {
        "name": "again", "datastore": "pgsql 15", "flavor": "medium", "volume_gb": 10, "size": 1, "restore": {"backup": backup},
    })  # fmt: skip
    assert (refused.status_code, "only what is completed can be restored" in refused.text) == (422, True)


@pytest.mark.fault(22)
def test_it_is_loud_until_another_one_has_followed(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    damage(api, shop, backup)
    check = looked(api)["backup proofs"]
    assert (check["status"], backup in check["message"]) == ("failed", True)
    assert of(api, "dtrove_backup_failures")[0][1] == 1.0
    completed(api, shop)
    assert of(api, "dtrove_backup_failures")[0][1] == 0.0
    with api.database.read() as connection:
        assert unproven(connection) == ()


def test_it_may_be_verified_and_is_good_again_once_it_was_fetched_whole(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    before = shown(api, backup)
    damage(api, shop, backup)
    answer = asked(api, backup)
    assert answer.status_code == 202, answer.text
    api.hear(backups.BackupCompleted(backup_id=backup, operation_id=before["operation"], cluster_id=shop, instance_id=new_id(),
                                     store="local", facts=FACTS))  # fmt: skip
    api.hear(backups.BackupVerified(**ids_of(shop, answer), proof=PROOF))
    told = shown(api, backup)
    assert (told["status"], told["message"], told["problem"]) == ("completed", "", None)
    assert (told["finished_at"], told["verified"]["engine"]) == (before["finished_at"], "PostgreSQL 15.8")
    with api.database.read() as connection:
        assert unproven(connection) == ()


def test_one_that_could_never_be_made_is_not_verified(api: Api, shop: str) -> None:
    ids = begun(api, shop)
    api.hear(backups.BackupFailed(**ids, problem=LOST))
    assert "the backup is failed" in asked(api, ids["backup_id"]).text


def test_a_damaged_backup_is_deleted_like_any_other(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    damage(api, shop, backup)
    answer = api.ask("DELETE", f"/v1/backups/{backup}")
    assert answer.status_code == 202
    api.hear(backups.BackupDeleted(backup_id=backup, cluster_id=shop, operation_id=answer.json["id"]))
    assert api.ask("GET", f"/v1/backups/{backup}").status_code == 404
