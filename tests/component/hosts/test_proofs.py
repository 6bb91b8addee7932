"""Backups that are proved by a restore, in datastore_agentless's own tables, over hosts and a store in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.datastores.base.proving import Proving, judged
from services.datastore_agentless.domain.cluster import Status as ClusterStatus
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Run, Script
from services.datastore_agentless.store import clusters, watches
from shared.contracts.api import BackupRequested, ClusterDeleteRequested
from shared.contracts.backups import CheckResult, ProofCheck, ProofWish
from shared.contracts.provisioner import InstanceFailed
from shared.contracts.values import Problem, RestoreRef
from shared.db import Database
from tests.component.hosts.fleet import Stage
from tests.component.hosts.wishes import admin_user, manager_for, up, wish
from tests.support.keeping import Killed, SomeDumping

READ = "read all that was restored"
CHECK = ProofCheck(name="orders", sql="SELECT 7", expect="7")


class SomeProving(Proving):
    """Reads all at one stroke; the answer to whatever is asked is 7."""

    def look(self, node: Instance) -> Script:
        yield Run("true", title=READ, changes=False)
        return {"rows": 3}, [CheckResult(name="readable", passed=True)]

    def ask(self, node: Instance, name: str, check: ProofCheck) -> Script:
        answer = yield Run("true", title=f"ask {check.name}", sample="7\n", changes=False)
        return judged(check, answer.text, "", well=True)


def proves(entry: Datastore) -> BaseManager:
    """A manager whose data somebody else keeps, and looks at."""
    made: BaseManager = manager_for(entry)
    made.dumping_class, made.proving_class = SomeDumping, SomeProving
    return made


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster `c` of one node, with a backup `b`."""
    made = Stage(database, manager_for=proves).serve(nodes=1)
    asked = BackupRequested(operation_id="make-b", backup_id="b", cluster_id="c", project_id="p")
    actions.request_backup(database, asked, proves, made.stores)
    made.settle()
    return made


def prove(stage: Stage, *checks: ProofCheck, comes: bool = True) -> None:
    """Want a cluster `d` that proves the backup; its server comes up."""
    made = replace(wish("d"), restore=RestoreRef(backup_id="b"), proof=ProofWish(cluster_id="c", checks=checks),
                   occurred_at=stage.clock.now())  # fmt: skip
    actions.expect_cluster(stage.database, made, admin_user)
    actions.issue_key(stage.database, "d")
    if comes:
        stage.clock.advance(30)
        actions.prepare_node(stage.database, up("d-0", "d"))


def failure(stage: Stage) -> dict[str, Any]:
    """The only word against it."""
    (failed,) = stage.said("backup.verification_failed")
    assert stage.said("cluster.failed") == stage.said("backup.verified") == []
    return failed


def test_a_backup_is_restored_read_and_asked_and_what_was_seen_is_told(stage: Stage) -> None:
    stage.clock.advance(600)
    prove(stage, CHECK)
    stage.settle(seconds=3600)
    (told,) = stage.said("backup.verified")
    assert [told[name] for name in ("backup_id", "cluster_id", "proof_id", "operation_id")] == ["b", "c", "d", "make-d"]
    proof = told["proof"]
    assert (proof["counts"], [one["name"] for one in proof["checks"]]) == (
        {"rows": 3},
        ["readable", "compared", "orders"],
    )
    assert proof["checks"][1]["found"] == "2 tables, 7 rows, 1 checksums"
    assert proof["seconds"] >= 30
    assert proof["engine"] == "15.4"
    words = stage.fleet["d-0"].told
    assert words.index("fetch the backup") < words.index(READ) < words.index("ask orders")
    assert stage.steps("make-d")[-1] == "prove"


def test_nobody_is_told_of_a_cluster_that_is_for_a_proof_so_that_nobody_watches_or_mends_it(stage: Stage) -> None:
    prove(stage)
    stage.settle(seconds=3600)
    assert stage.said("cluster.active", "make-d") == stage.said("accounts.seen", "make-d") == []
    with stage.database.read() as connection:
        assert clusters.cluster(connection, "d").status == ClusterStatus.EXPECTED
        assert "d" not in watches.unwatched(connection)


def test_an_answer_that_was_not_expected_fails_the_proof_with_all_that_was_seen(stage: Stage) -> None:
    prove(stage, replace(CHECK, expect="8"), CHECK)
    stage.settle(seconds=3600)
    told = failure(stage)
    assert told["problem"]["step"] == "prove"
    assert "orders: '8' was expected" in told["problem"]["message"]
    assert [one["passed"] for one in told["proof"]["checks"]] == [True, True, False, True]


@pytest.mark.fault(22)
def test_data_that_are_not_what_was_counted_fail_the_proof_and_the_backup_is_none_the_less_there(stage: Stage) -> None:
    orders = "\t".join(("table", b"shop".hex(), b"public.orders".hex(), "", "6", "42", "."))
    stage.fleet.says["hold the rows against those of then"] = f"{orders}\n"
    prove(stage, CHECK)
    stage.settle(seconds=3600)
    told = failure(stage)
    assert (
        "compared: shop.public.orders has 6 rows in place of 7; shop.public.two  words is not there"
        in told["problem"]["message"]
    )
    assert stage.said("backup.failed") == [], "its objects are as they were"


def test_a_backup_whose_parts_are_gone_fails_the_proof_loudly(stage: Stage) -> None:
    stage.store.lost = {1}
    prove(stage)
    stage.settle(seconds=3600)
    told = failure(stage)
    assert (told["problem"]["step"], told["proof"], told["cluster_id"]) == ("restore", None, "c")
    assert "has not all parts" in told["problem"]["message"]


def test_a_server_that_cannot_be_had_fails_the_proof_not_a_cluster(stage: Stage) -> None:
    prove(stage, comes=False)
    problem = Problem(step="create_server", message="no valid host was found")
    event = InstanceFailed(instance_id="d-0", cluster_id="d", operation_id="make-d", problem=problem)
    assert actions.fail_cluster(stage.database, event)
    assert failure(stage)["problem"]["message"] == "no valid host was found"


def test_a_backup_that_is_gone_fails_its_proof_at_once(stage: Stage) -> None:
    made = replace(wish("d"), restore=RestoreRef(backup_id="nobody"), proof=ProofWish(cluster_id="c"))
    actions.expect_cluster(stage.database, made, admin_user)
    assert "there is no backup nobody any more" in failure(stage)["problem"]["message"]


@pytest.mark.parametrize("moment", ["fetch the backup", READ, "ask orders"])
def test_a_worker_that_dies_in_the_middle_of_a_proof_is_followed_by_one_that_goes_on(stage: Stage, moment: str) -> None:
    def die() -> None:
        raise Killed

    stage.fleet.meanwhile[moment] = die
    prove(stage, CHECK)
    stage.settle()
    assert stage.fleet.meanwhile == {}
    assert len(stage.said("backup.verified")) == 1


@pytest.mark.parametrize("moment", ["fetch the backup", READ])
def test_a_proof_whose_cluster_is_deleted_meanwhile_ends_and_says_nothing(stage: Stage, moment: str) -> None:
    def delete() -> None:
        gone = ClusterDeleteRequested(cluster_id="d", operation_id="delete-d", project_id="p", instance_ids=("d-0",))
        actions.release_cluster(stage.database, gone)

    stage.fleet.meanwhile[moment] = delete
    prove(stage, CHECK)
    stage.settle()
    assert stage.said("backup.verified") == stage.said("backup.verification_failed") == []


def test_a_manager_that_nobody_can_ask_is_proved_by_its_engine_alone(database: Database) -> None:
    def mute(entry: Datastore) -> BaseManager:
        made = proves(entry)
        made.proving_class = None
        return made

    stage = Stage(database, manager_for=mute).serve(nodes=1)
    asked = BackupRequested(operation_id="make-b", backup_id="b", cluster_id="c", project_id="p")
    actions.request_backup(database, asked, mute, stage.stores)
    stage.settle()
    prove(stage)
    stage.settle()
    (told,) = stage.said("backup.verified")
    assert told["proof"]["checks"] == []
