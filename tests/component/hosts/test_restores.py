"""Clusters that begin with a backup, in datastore_agentless's own tables, on both engines, over hosts and a store in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.store import backups, clusters
from shared.contracts.api import BackupDeleteRequested, BackupRequested, OperationRetryRequested
from shared.contracts.values import RestoreRef
from shared.db import Database
from tests.component.hosts.fleet import Stage
from tests.component.hosts.wishes import REF, admin_user, manager_for, up, wish
from tests.support.keeping import SECRET_URL, Killed, SomeDumping

TAKE_OVER = "put the data of the backup in place"


def keeps(entry: Datastore) -> BaseManager:
    """A manager whose data somebody else makes a stream of, and data again."""
    made: BaseManager = manager_for(entry)
    made.dumping_class = SomeDumping
    return made


@pytest.fixture
def stage(database: Database) -> Stage:
    """A cluster `c` of one node, with a backup `b`."""
    made = Stage(database, manager_for=keeps).serve(nodes=1)
    actions.request_backup(
        database,
        BackupRequested(operation_id="make-b", backup_id="b", cluster_id="c", project_id="p"),
        keeps,
        made.stores,
    )
    made.settle()
    return made


def restore(stage: Stage, nodes: int = 2, backup: str = "b", **values: Any) -> None:
    """Want a cluster `d` that begins with a backup; its servers come up."""
    event = replace(wish("d", nodes=nodes), restore=RestoreRef(backup_id=backup), **values)
    actions.expect_cluster(stage.database, event, admin_user)
    actions.issue_key(stage.database, "d")
    for number in range(nodes):
        actions.prepare_node(stage.database, up(f"d-{number}", "d"))


def told(stage: Stage, node: str) -> list[str]:
    """What was done on a host of it."""
    return stage.fleet[node].told


def retry(stage: Stage) -> None:
    actions.retry_operation(stage.database, OperationRetryRequested(operation_id="make-d", cluster_id="d"))


def cluster(stage: Stage) -> Cluster:
    with stage.database.read() as connection:
        return clusters.cluster(connection, "d")


def test_the_node_that_leads_takes_the_data_over_and_the_others_copy_from_it(stage: Stage) -> None:
    restore(stage)
    stage.settle()
    first, second = told(stage, "d-0"), told(stage, "d-1")
    assert first.index("fetch the backup") < first.index(TAKE_OVER)
    assert "fetch the backup" not in second
    (active,) = stage.said("cluster.active", "make-d")
    assert active["primary_id"] == "d-0"
    assert stage.fleet["d-1"].follows == "sim-d-0.invalid"
    assert "restore" in stage.steps("make-d")


def test_accounts_that_came_with_the_data_are_listed_before_it_is_said_that_the_cluster_serves(stage: Stage) -> None:
    restore(stage)
    stage.settle()
    topics = [one["event_id"] for topic in ("accounts.seen", "cluster.active") for one in stage.said(topic)
              if one["cluster_id"] == "d"]  # fmt: skip
    assert len(topics) == 2
    assert stage.steps("make-d")[-1] == "change"


def test_the_administrator_s_login_is_the_new_cluster_s(stage: Stage) -> None:
    restore(stage, nodes=1)
    stage.settle()
    words = told(stage, "d-0")
    after = words[words.index(TAKE_OVER) :]
    # What `secure` does was done before, and is done again on the data that have come.
    assert set(after) & set(words[: words.index(TAKE_OVER)])


def test_what_opens_the_backup_is_told_to_nobody_but_the_node(stage: Stage) -> None:
    restore(stage)
    stage.settle()
    with stage.database.read() as connection:
        private = backups.identity(connection, "p").private.reveal()
        bodies = " ".join(str(row.body) for row in connection.execute(stage.database.outbox.select()))
    assert private not in bodies
    assert SECRET_URL not in bodies


@pytest.mark.parametrize("moment", ["fetch the backup", TAKE_OVER])
def test_a_worker_that_dies_in_the_middle_of_it_is_followed_by_one_that_goes_on(stage: Stage, moment: str) -> None:
    def die() -> None:
        raise Killed

    stage.fleet.meanwhile[moment] = die
    restore(stage)
    stage.settle()
    assert stage.fleet.meanwhile == {}
    assert len(stage.said("cluster.active", "make-d")) == 1


def test_a_server_that_has_the_data_is_not_given_them_again(stage: Stage) -> None:
    restore(stage, nodes=1)
    stage.settle()
    actions.prepare_node(stage.database, up("d-0", "d"))
    stage.settle()
    assert told(stage, "d-0").count(TAKE_OVER) == 1


def test_a_server_that_was_made_anew_before_the_cluster_served_begins_with_the_backup_too(stage: Stage) -> None:
    restore(stage, nodes=2)
    stage.fleet["d-1"].reachable = False
    stage.settle(seconds=3600)
    assert cluster(stage).restored_server == "s"
    actions.prepare_node(stage.database, replace(up("d-0", "d"), server="another"))
    stage.settle(seconds=3600)
    assert cluster(stage).restored_server == "another"
    assert told(stage, "d-0").count(TAKE_OVER) == 2


def test_a_store_that_is_away_is_waited_for(stage: Stage) -> None:
    stage.store.away = True
    restore(stage)
    stage.settle(seconds=600)
    assert stage.said("cluster.active", "make-d") == []
    stage.store.away = False
    stage.settle()
    assert len(stage.said("cluster.active", "make-d")) == 1


def test_a_backup_that_is_damaged_fails_the_cluster_and_a_retry_finds_it_mended(stage: Stage) -> None:
    stage.store.lost = {1}
    restore(stage)
    stage.settle()
    (failed,) = stage.said("cluster.failed")
    assert failed["problem"]["step"] == "restore"
    assert "has not all parts" in failed["problem"]["message"]
    stage.store.lost = set()
    retry(stage)
    stage.settle()
    assert len(stage.said("cluster.active", "make-d")) == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"backup": "nobody"}, "there is no backup nobody any more"),
        ({"project_id": "strangers"}, "there is no backup b any more"),
        (
            {"datastore": replace(REF, id="other", version="16")},
            "is of pgsql - 15: a cluster of pgsql - 16 cannot begin",
        ),
    ],
)
def test_a_backup_that_cannot_be_restored_fails_the_cluster_at_once_and_nothing_is_prepared(
    stage: Stage, values: dict[str, Any], words: str
) -> None:
    restore(stage, **values)
    stage.settle()
    assert words in stage.said("cluster.failed")[0]["problem"]["message"]
    retry(stage)
    stage.settle()
    assert "however often it is tried" in stage.said("cluster.failed")[1]["problem"]["message"]
    assert stage.said("cluster.active", "make-d") == []
    assert told(stage, "d-0") == []


def test_a_backup_that_is_deleted_before_it_is_fetched_fails_the_cluster_with_a_sentence(stage: Stage) -> None:
    def strike() -> None:
        actions.delete_backup(
            stage.database, BackupDeleteRequested(operation_id="x", backup_id="b", cluster_id="c", project_id="p")
        )

    restore(stage, nodes=1)
    stage.fleet.meanwhile["look at the host"] = strike
    stage.settle()
    assert "there is no backup b any more" in stage.said("cluster.failed")[0]["problem"]["message"]
