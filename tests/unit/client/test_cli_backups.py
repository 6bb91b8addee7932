"""Backups on the command line: made, shown, deleted, restored."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from client.exits import Exit
from client.proving import counted
from shared.contracts import backups
from shared.contracts.base import Event, new_id
from shared.contracts.values import Problem
from tests.unit.client.conftest import Done
from tests.unit.client.world import World

Dtrove = Callable[..., Done]
FULL_STORE = Problem(step="send", message="the store answers 507", what_to_do="make room")


class Keeper:
    """What the other services were asked of backups; they do it at once, unless there is a `problem`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.wishes: list[Any] = []
        self.problem: Problem | None = None
        world.answers["backup.requested"] = self.make
        world.answers["backup.delete_requested"] = self.remove
        ordinary = world.answers["cluster.requested"]
        world.answers["cluster.requested"] = lambda wish: self.prove(wish) if wish.proof else ordinary(wish)

    def make(self, wish: Any) -> list[Event]:
        self.wishes.append(wish)
        ids = {name: getattr(wish, name) for name in ("backup_id", "cluster_id", "operation_id")}
        if self.problem is not None:
            return [backups.BackupFailed(**ids, problem=self.problem)]
        of_it = {
            "instance_id": new_id(),
            "project_id": wish.project_id,
            "kind": wish.kind,
            "store": wish.store or "local",
        }
        tally = backups.TallyFacts(databases=(backups.DatabaseTally(name="shop", tables=2, rows=7, sums=1),), tables=2, rows=7,
                                   sums=1, changed=3)  # fmt: skip
        facts = backups.BackupFacts(size_bytes=9_400_000, stored_bytes=3_100_000, parts=1, engine="15.7", tally=tally,
                                    ended_at="2026-11-30T12:00:00Z")  # fmt: skip
        return [
            backups.BackupStarted(**ids, **of_it),
            self.world.step(wish, "send", "succeeded", 100),
            backups.BackupCompleted(**ids, **of_it, facts=facts),
        ]

    def prove(self, wish: Any) -> list[Event]:
        self.wishes.append(wish)
        ids = {"backup_id": wish.restore.backup_id, "cluster_id": wish.proof.cluster_id, "proof_id": wish.cluster_id,
               "operation_id": wish.operation_id}  # fmt: skip
        if self.problem is not None:
            return [backups.BackupVerificationFailed(**ids, problem=self.problem)]
        asked = tuple(backups.CheckResult(name=one.name, passed=True, found="7") for one in wish.proof.checks)
        proof = backups.Proof(
            engine="PostgreSQL 15.8", seconds=42.0, rpo_seconds=90.0, counts={"rows": 2000}, checks=asked
        )
        return [self.world.step(wish, "prove", "succeeded", 100), backups.BackupVerified(**ids, proof=proof)]

    def remove(self, wish: Any) -> list[Event]:
        self.wishes.append(wish)
        ids = {name: getattr(wish, name) for name in ("backup_id", "cluster_id", "operation_id")}
        return [
            backups.BackupDeleteFailed(**ids, problem=self.problem) if self.problem else backups.BackupDeleted(**ids)
        ]


@pytest.fixture
def keeper(world: World, dtrove: Dtrove) -> Keeper:
    """A cluster that serves, and services that keep its backups."""
    assert dtrove("cluster", "create", "shop", "--datastore", "pgsql", "--volume-gb", "7", "--wait").code == 0
    return Keeper(world)


def test_a_backup_is_made_step_by_step_and_shown_with_sizes_and_times(keeper: Keeper, dtrove: Dtrove) -> None:
    done = dtrove("backup", "create", "shop", "--wait")
    assert done.code == 0, done.err
    assert "send" in done.err
    assert "completed" in done.out
    assert "9.4 MB" in done.out
    made = dtrove("backup", "create", "shop", "--store", "minio", "--wait", "--json").json
    assert (made["status"], made["store"], made["facts"]["stored_bytes"]) == ("completed", "minio", 3_100_000)
    assert [(one.store, one.kind) for one in keeper.wishes] == [("", "full"), ("minio", "full")]
    table = dtrove("backup", "list").out.splitlines()
    assert table[0].split() == [
        "cluster",
        "status",
        "kind",
        "store",
        "size",
        "stored",
        "took",
        "age",
        "proven",
        "id",
        "message",
    ]
    assert table[1].split()[:8] == ["shop", "completed", "full", "minio", "9.4", "MB", "3.1", "MB"]
    assert dtrove("backup", "list", "shop", "--json").json[0]["id"] == made["id"]
    assert dtrove("backup", "show", "shop", "--json").json["id"] == made["id"], "a cluster means its newest one"
    assert "15.7" in dtrove("backup", "show", made["id"]).out
    counted = " ".join(dtrove("backup", "show", made["id"]).out.split())
    assert "shop: 2 tables, 7 rows; 1 checksums; 3 tables written to meanwhile" in counted


def test_without_waiting_it_is_said_how_to_see_what_becomes_of_it(keeper: Keeper, dtrove: Dtrove) -> None:
    done = dtrove("backup", "create", "shop")
    assert (done.code, "dtrove operation watch" in done.err) == (0, True)


def test_a_backup_that_fails_says_why_and_ends_with_one(keeper: Keeper, dtrove: Dtrove) -> None:
    keeper.problem = FULL_STORE
    done = dtrove("backup", "create", "shop", "--wait", "--json")
    assert (done.code, done.json["status"]) == (Exit.FAILED, "failed")
    assert "make room" in done.err
    assert "the store answers 507" in dtrove("backup", "list").out
    assert dtrove("backup", "show", "shop").code == Exit.NOT_FOUND, "what has failed is not what a cluster means"
    assert dtrove("backup", "create", "shop", "--kind", "half").code == Exit.REFUSED
    assert dtrove("backup", "create", "nobody").code == Exit.NOT_FOUND


def test_a_backup_is_deleted_once_that_is_meant_also_without_its_cluster(
    keeper: Keeper, dtrove: Dtrove, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = dtrove("backup", "create", "shop", "--wait", "--json").json["id"]
    assert dtrove("backup", "list", "--deleted-clusters", "--json").json == []
    assert dtrove("cluster", "delete", "shop", "--yes", "--wait").code == 0
    for named in ((), ("shop",)):
        assert [one["id"] for one in dtrove("backup", "list", *named, "--deleted-clusters", "--json").json] == [backup]
    assert dtrove("backup", "list", "other", "--deleted-clusters", "--json").json == []
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    refused = dtrove("backup", "delete", backup)
    assert (refused.code, "Delete the backup of shop" in refused.err) == (1, True)
    assert dtrove("backup", "delete", "shop", "--yes").code == Exit.NOT_FOUND, "only by its id"
    keeper.problem = FULL_STORE
    assert dtrove("backup", "delete", backup, "--yes", "--wait").code == Exit.FAILED
    assert "could not be deleted" in dtrove("backup", "show", backup).out
    keeper.problem = None
    assert dtrove("backup", "delete", backup, "--yes", "--wait", "--json").json["status"] == "deleted"
    assert dtrove("backup", "show", backup).code == Exit.NOT_FOUND
    assert "there are no backups" in dtrove("backup", "list").err


def test_a_cluster_begins_with_a_backup_and_is_as_the_former_was_unless_it_is_said(
    keeper: Keeper, world: World, dtrove: Dtrove
) -> None:
    backup = dtrove("backup", "create", "shop", "--wait", "--json").json["id"]
    for command in (
        ("backup", "restore", backup, "--name", "one"),
        ("backup", "restore", "shop", "--name", "two"),
        ("cluster", "create", "three", "--restore", backup),
    ):
        made = dtrove(*command, "--wait", "--json")
        assert made.code == 0, made.err
        assert (made.json["status"], made.json["restored_from"], made.json["volume_gb"]) == ("active", backup, 7)
        assert (made.json["datastore"]["name"], made.json["flavor"]["name"]) == ("pgsql - 15", "small")
    larger = dtrove("backup", "restore", backup, "--name", "four", "--volume-gb", "8", "--json").json
    assert (larger["volume_gb"], larger["size"]) == (8, 1)
    refused = dtrove("backup", "restore", backup, "--name", "five", "--volume-gb", "6")
    assert (refused.code, "must be at least 7" in refused.err) == (Exit.REFUSED, True)
    assert dtrove("backup", "restore", new_id(), "--name", "five").code == Exit.NOT_FOUND
    refused = dtrove("cluster", "create", "five")
    assert (refused.code, "--restore" in refused.err) == (Exit.REFUSED, True)


def test_a_plan_of_a_restore_says_whose_data_it_takes_over(keeper: Keeper, dtrove: Dtrove) -> None:
    backup = dtrove("backup", "create", "shop", "--wait", "--json").json["id"]
    done = dtrove("backup", "restore", backup, "--name", "one", "--plan")
    assert "moves: the data of cluster shop" in done.out
    assert [one["name"] for one in dtrove("cluster", "list", "--json").json] == ["shop"]


def test_a_cluster_goes_once_its_last_backup_is_completed_and_stays_where_that_fails(
    keeper: Keeper, dtrove: Dtrove
) -> None:
    keeper.problem = FULL_STORE
    kept = dtrove("cluster", "delete", "shop", "--final-backup", "--yes", "--wait")
    assert (kept.code, "the store answers 507" in kept.err) == (Exit.FAILED, True)
    assert "it was not deleted" in dtrove("cluster", "show", "shop").out
    keeper.problem = None
    gone = dtrove("cluster", "delete", "shop", "--final-backup", "--yes", "--wait", "--json")
    assert (gone.code, gone.json["status"]) == (0, "deleted")
    assert dtrove("cluster", "list", "--json").json == []
    (backup,) = [
        one for one in dtrove("backup", "list", "--deleted-clusters", "--json").json if one["status"] == "completed"
    ]
    assert backup["cluster_name"] == "shop"


def test_a_backup_is_proved_by_checks_of_ones_own_and_the_list_says_when(keeper: Keeper, dtrove: Dtrove) -> None:
    backup = dtrove("backup", "create", "shop", "--wait", "--json").json["id"]
    done = dtrove("backup", "verify", "shop", "--check", "orders@shop=SELECT a=b", "--expect", "orders=7", "--wait")
    assert done.code == 0, done.err
    assert "prove" in done.err
    assert "PostgreSQL 15.8" in done.out
    (check,) = keeper.wishes[-1].proof.checks
    assert (check.name, check.database, check.sql, check.expect) == ("orders", "shop", "SELECT a=b", "7")
    assert "0s ago" in dtrove("backup", "list").out.replace("1s ago", "0s ago")
    told = dtrove("backup", "show", backup, "--json").json
    assert (told["verified"]["counts"], told["verified"]["checks"][0]["found"]) == ({"rows": 2000}, "7")
    assert [one["name"] for one in dtrove("cluster", "list", "--json").json] == ["shop"]
    begun = dtrove("backup", "verify", backup)
    assert (begun.code, "dtrove operation watch" in begun.err) == (0, True)


def test_a_proof_that_fails_ends_with_one_and_says_why(keeper: Keeper, dtrove: Dtrove) -> None:
    backup = dtrove("backup", "create", "shop", "--wait", "--json").json["id"]
    keeper.problem = Problem(step="restore", message="part 1 has another sum", what_to_do="back up anew")
    done = dtrove("backup", "verify", backup, "--wait", "--json")
    assert (done.code, done.json["verification_failed"]["problem"]["message"]) == (
        Exit.FAILED,
        "part 1 has another sum",
    )
    assert "back up anew" in done.err
    assert dtrove("backup", "list").out.splitlines()[1].split()[-2] == "failed"


@pytest.mark.parametrize("options", [
    ("--check", "SELECT 1"), ("--check", "a=SELECT 1", "--expect", "b=1"), ("--check", "a=1", "--check", "a@b=2"),
])  # fmt: skip
def test_checks_that_make_no_sense_are_refused_before_anybody_is_asked(
    keeper: Keeper, dtrove: Dtrove, options: tuple[str, ...]
) -> None:
    backup = dtrove("backup", "create", "shop", "--wait", "--json").json["id"]
    assert dtrove("backup", "verify", backup, *options).code == Exit.REFUSED
    assert len(keeper.wishes) == 1


def test_a_quota_of_backups_is_set_and_met(keeper: Keeper, dtrove: Dtrove) -> None:
    assert dtrove("project", "quota", "default", "--backups", "1", "--backup-gb", "5").code == 0
    assert dtrove("backup", "create", "shop", "--wait").code == 0
    refused = dtrove("backup", "create", "shop")
    assert (refused.code, "may have 1 backups" in refused.err) == (Exit.CONFLICT, True)


def test_what_could_not_be_counted_says_why() -> None:
    tally = {"databases": [], "tables": 0, "rows": 0, "sums": 0, "changed": 0, "left": 0, "why": "the log is gone"}
    assert counted(tally) == "not counted: the log is gone"
    assert counted({**tally, "why": "", "left": 2}) == "nothing; 0 checksums; 2 tables too large or too many"
    assert counted(None) == ""
