"""Backups that are proved by a restore, over HTTP; what the other services say is told by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.api.actions.access import DEFAULT_PROJECT
from services.api.actions.proving import unproven
from shared.clock import ManualClock
from shared.contracts.backups import (
    BackupCompleted,
    BackupVerificationFailed,
    BackupVerified,
    CheckResult,
    Proof,
)
from shared.contracts.base import Event, new_id, utcnow
from shared.contracts.datastore_agentless import ClusterDeleted
from shared.contracts.operations import OperationProgressed, sequence_at
from shared.contracts.scheduler import VerificationDue
from shared.contracts.values import Problem
from shared.errors import Retryable
from tests.component.api.test_backup_metrics import of
from tests.component.api.test_backups import begun, completed, gone, shop
from tests.component.api.test_checks import looked
from tests.component.api.test_scaling import wished
from tests.support.api import Api

__all__ = ["shop"]
PROOF = Proof(engine="PostgreSQL 15.8", seconds=42.5, rpo_seconds=90.0, counts={"tables": 3, "rows": 2000},
              checks=(CheckResult(name="readable", passed=True), CheckResult(name="orders", passed=True, found="7")))  # fmt: skip
PROBLEM = Problem(step="restore", message="part 1 has another sum", what_to_do="restore another backup")
ASKED = {"checks": [{"name": "orders", "sql": "SELECT count(*) FROM orders", "database": "shop", "expect": "7"}]}


def asked(api: Api, backup: str, **body: Any) -> Any:
    return api.ask("POST", f"/v1/backups/{backup}/verify", body)


def verifying(api: Api, shop: str, **body: Any) -> dict[str, Any]:
    """A proof that is under way, as the ids that its answer will have."""
    answer = asked(api, completed(api, shop), **body)
    assert answer.status_code == 202, answer.text
    return ids_of(shop, answer)


def ids_of(shop: str, answer: Any) -> dict[str, Any]:
    return {"backup_id": answer.json["backup"]["id"], "operation_id": answer.json["id"], "proof_id": answer.json["cluster"],
            "cluster_id": shop}  # fmt: skip


def shown(api: Api, ids: dict[str, Any]) -> Any:
    return api.get(f"/v1/backups/{ids['backup_id']}")


def restored(ids: dict[str, Any], seconds: float) -> list[Event]:
    """What is said of the step that restores."""
    ended = utcnow()
    return [OperationProgressed(operation_id=ids["operation_id"], cluster_id=ids["proof_id"], service="datastore_agentless",
                                kind="prepare_node", step="restore", host="proof-1", status=status, sequence=sequence_at(at),
                                occurred_at=at)
            for status, at in (("running", ended - timedelta(seconds=seconds)), ("succeeded", ended))]  # fmt: skip


def test_a_proof_is_a_cluster_of_one_node_that_begins_with_the_backup_and_that_nobody_sees(api: Api, shop: str) -> None:
    ids = verifying(api, shop, **ASKED)
    wish = json.loads(wished(api, "cluster.requested")[-1].body)
    assert (wish["cluster_id"], wish["size"], wish["volume_gb"]) == (ids["proof_id"], 1, 10)
    assert wish["restore"] == {"backup_id": ids["backup_id"], "time": None}
    assert wish["proof"] == {"cluster_id": shop, **ASKED}
    assert [one["id"] for one in api.get("/v1/clusters")["clusters"]] == [shop]
    assert api.operation(ids["operation_id"])["kind"] == "verify_backup"
    assert api.get(f"/v1/clusters/{ids['proof_id']}")["restored_from"] == ids["backup_id"], "who knows its id may look"


def test_what_was_proved_is_shown_with_the_backup_and_the_server_goes(api: Api, shop: str) -> None:
    ids = verifying(api, shop)
    assert (shown(api, ids)["verified"], shown(api, ids)["verification_failed"]) == (None, None)
    for event in restored(ids, 30):
        api.hear(event)
    api.hear(BackupVerified(**ids, proof=PROOF))
    told = shown(api, ids)
    proof = told["verified"]
    assert (told["status"], proof["seconds"], proof["restore_seconds"], proof["rpo_seconds"]) == (
        "completed",
        42.5,
        30.0,
        90.0,
    )
    assert (proof["counts"], [one["name"] for one in proof["checks"]]) == (PROOF.counts, ["readable", "orders"])
    ended = api.operation(ids["operation_id"])
    assert (ended["status"], ended["result"]) == ("succeeded", {"backup": ids["backup_id"]})
    (delete,) = wished(api, "cluster.delete_requested")
    assert json.loads(delete.body)["cluster_id"] == ids["proof_id"]
    assert "backup.verified" in [one["type"] for one in api.get("/v1/events?limit=100")["events"]]
    api.hear(ClusterDeleted(cluster_id=ids["proof_id"], operation_id=json.loads(delete.body)["operation_id"]))
    assert api.get(f"/v1/clusters/{shop}")["status"] == "active"


def test_a_proof_that_fails_says_why_and_the_server_goes_as_well(api: Api, shop: str) -> None:
    ids = verifying(api, shop)
    api.hear(BackupVerificationFailed(**ids, problem=PROBLEM))
    told = shown(api, ids)
    assert (told["status"], told["verified"]) == ("completed", None)
    assert told["verification_failed"]["problem"]["message"] == PROBLEM.message
    assert told["verification_failed"]["checks"] == []
    ended = api.operation(ids["operation_id"])
    assert (ended["status"], ended["problem"]["message"]) == ("failed", PROBLEM.message)
    assert len(wished(api, "cluster.delete_requested")) == 1
    refused = api.ask("POST", f"/v1/operations/{ids['operation_id']}/retry")
    assert (refused.status_code, "verify the backup again" in refused.text) == (409, True)


def test_a_failed_proof_is_loud_until_a_later_one_is_passed(api: Api, shop: str) -> None:
    ids = verifying(api, shop)
    bad = replace(PROOF, checks=(CheckResult(name="orders", passed=False, found="6", message="'7' was expected"),))
    api.hear(BackupVerificationFailed(**ids, problem=replace(PROBLEM, step="prove"), proof=bad))
    assert shown(api, ids)["verification_failed"]["checks"][0]["found"] == "6"
    check = looked(api)["backup proofs"]
    assert (check["status"], ids["backup_id"] in check["message"]) == ("failed", True)
    assert of(api, "dtrove_backup_proof_failures")[0][1] == 1.0
    assert of(api, "dtrove_backup_proof_age_seconds") == []
    again = ids_of(shop, asked(api, ids["backup_id"]))
    api.hear(BackupVerified(**again, proof=PROOF))
    late = replace(BackupVerificationFailed(**ids, problem=PROBLEM), occurred_at=utcnow() - timedelta(hours=1))
    api.hear(late)
    told = shown(api, ids)
    assert (told["verified"]["seconds"], told["verification_failed"]) == (42.5, None)
    api.database.clock = ManualClock(next(row.verified_at for row in api.rows("backups")))
    api.database.clock.advance(60)
    assert of(api, "dtrove_backup_proof_failures")[0][1] == 0.0
    assert of(api, "dtrove_backup_proof_age_seconds")[0][1] == 60.0
    with api.database.read() as connection:
        assert unproven(connection) == ()


def test_a_proof_that_is_cancelled_leaves_nothing_and_says_nothing_of_the_backup(api: Api, shop: str) -> None:
    ids = verifying(api, shop)
    assert api.ask("POST", f"/v1/operations/{ids['operation_id']}/cancel").status_code == 202
    (delete,) = wished(api, "cluster.delete_requested")
    assert json.loads(delete.body)["operation_id"] == ids["operation_id"]
    api.hear(BackupVerified(**ids, proof=PROOF))
    assert api.operation(ids["operation_id"])["status"] == "cancelling", "what counts is that nothing is left"
    api.hear(ClusterDeleted(cluster_id=ids["proof_id"], operation_id=ids["operation_id"]))
    assert api.operation(ids["operation_id"])["status"] == "cancelled"
    assert len(wished(api, "cluster.delete_requested")) == 1
    assert asked(api, ids["backup_id"]).status_code == 202


def test_one_proof_at_a_time_and_the_backup_stays_meanwhile(api: Api, shop: str) -> None:
    ids = verifying(api, shop)
    twice = asked(api, ids["backup_id"])
    assert (twice.status_code, ids["operation_id"] in twice.text) == (409, True)
    assert api.ask("DELETE", f"/v1/backups/{ids['backup_id']}").status_code == 409
    api.hear(BackupVerified(**ids, proof=PROOF))
    assert api.ask("DELETE", f"/v1/backups/{ids['backup_id']}").status_code == 202


def test_only_what_is_completed_and_ones_own_is_verified(api: Api, shop: str) -> None:
    ids = begun(api, shop)
    assert "the backup is requested" in asked(api, ids["backup_id"]).text
    assert asked(api, new_id()).status_code == 404
    api.hear(BackupCompleted(**ids, instance_id=new_id()))
    backup = ids["backup_id"]
    stranger = api.ask("POST", f"/v1/backups/{backup}/verify", {}, token=api.token("admin", api.project()))
    assert stranger.status_code == 404
    assert api.ask("POST", f"/v1/backups/{backup}/verify", {}, token=api.reader).status_code == 403


@pytest.mark.parametrize(("check", "field"), [
    ({"sql": "SELECT 1"}, "checks.0.name"), ({"name": "one"}, "checks.0.sql"),
    ({"name": "a\nb", "sql": "SELECT 1"}, "checks.0.name"),
    ({"name": "one", "sql": "SELECT 1", "database": "a\nb"}, "checks.0.database"),
])  # fmt: skip
def test_a_check_that_cannot_be_asked_is_refused_by_the_field(
    api: Api, shop: str, check: dict[str, str], field: str
) -> None:
    refused = asked(api, completed(api, shop), checks=[check])
    assert (refused.status_code, [one["field"] for one in refused.json["errors"]]) == (422, [field])


def test_a_proof_counts_as_a_server_and_not_as_a_cluster(api: Api, shop: str) -> None:
    backup, path = completed(api, shop), f"/v1/projects/{DEFAULT_PROJECT}/quotas"
    api.ask("PUT", path, {"clusters": 1, "instances": 1}, token=api.admin)
    assert "may have 1 instances" in asked(api, backup).text
    api.ask("PUT", path, {"clusters": 1, "instances": 2}, token=api.admin)
    assert asked(api, backup).status_code == 202
    assert api.get(path, token=api.admin)["used"]["clusters"] == 1


def test_a_backup_whose_cluster_is_gone_is_proved_too(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    gone(api, shop)
    ids = ids_of(shop, asked(api, backup))
    api.hear(BackupVerified(**ids, proof=PROOF))
    assert shown(api, ids)["verified"]["engine"] == "PostgreSQL 15.8"


def due(shop: str, backup: str) -> VerificationDue:
    return VerificationDue(schedule_id=new_id(), backup_id=backup, cluster_id=shop, project_id=DEFAULT_PROJECT)


def test_what_a_schedule_wants_to_have_proved_is_proved_once(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    api.hear(due(shop, backup))
    api.hear(due(shop, backup))
    (wish,) = [one for one in wished(api, "cluster.requested") if json.loads(one.body)["proof"]]
    assert json.loads(wish.body)["restore"] == {"backup_id": backup, "time": None}


def test_a_proof_that_is_due_before_the_end_of_the_backup_was_heard_waits_for_that(api: Api, shop: str) -> None:
    ids = begun(api, shop)
    for backup in (ids["backup_id"], new_id()):
        with pytest.raises(Retryable, match="nothing was heard yet"):
            api.hear(due(shop, backup))


def test_a_proof_that_is_due_and_has_no_room_is_loud(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    api.ask("PUT", f"/v1/projects/{DEFAULT_PROJECT}/quotas", {"instances": 1}, token=api.admin)
    api.hear(due(shop, backup))
    told = api.get(f"/v1/backups/{backup}")["verification_failed"]
    assert (told["problem"]["step"], "may have 1 instances" in told["problem"]["message"]) == ("begin", True)
    assert len(api.rows("clusters")) == 1


def test_nothing_is_proved_of_a_cluster_or_a_backup_that_goes(api: Api, shop: str) -> None:
    backup = completed(api, shop)
    api.ask("DELETE", f"/v1/backups/{backup}")
    api.hear(due(shop, backup))
    gone(api, shop)
    api.hear(due(shop, new_id()))
    assert [row.id for row in api.rows("clusters")] == [shop]
