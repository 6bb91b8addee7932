"""The log of a cluster whose data took the place of others: nothing of the one is taken for the other's."""

from __future__ import annotations

from datetime import datetime

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.datastores.pgsql.manager import PostgresManager
from services.datastore_agentless.datastores.pgsql.replaying import LogReplay
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.store import archives, backups, clusters
from services.datastore_agentless.workflows.log_chains import runs_to
from shared.contracts.restores import ClusterRestoreRequested
from shared.contracts.values import RestoreRef
from shared.db import Database
from shared.errors import StaleEpoch
from tests.component.hosts.fleet import Stage
from tests.component.hosts.test_archives import LINE, Log, back_up, drop
from tests.component.hosts.test_backups import keeps
from tests.component.hosts.test_point_in_time import at, chains, kept_from, write

REPLAYING = LogReplay(PostgresManager(Datastore(id="d", manager_class="x", manager="x", version="15", image="")))


@pytest.fixture
def log(database: Database) -> Log:
    """A cluster of one node with a backup, whose log has two pieces."""
    stage = Stage(database, manager_for=keeps).serve(nodes=1)
    back_up(stage)
    made = Log(stage)
    made.turn()
    finish(made, 1, 2)
    return made


@pytest.fixture
def kept_from_5(database: Database) -> Log:
    """A cluster of two nodes, whose log is kept from before its backup `b` on, which needs it from segment 5 on."""
    return kept_from(database, 5)


def finish(log: Log, *numbers: int) -> None:
    log["c-0"].finish(*numbers, at=log.stage.clock.now().timestamp())
    log.turn()


def become(log: Log, history: str) -> None:
    """The data are others from now on; their spool is empty."""
    log["c-0"].files.clear()
    log["c-0"].there = False
    with log.stage.database.write() as tx:
        cluster = clusters.lock(tx, "c")
        assert cluster is not None
        cluster.history = history
        clusters.save_cluster(tx, cluster)
        archives.begin_anew(tx, "c", history)


def chained(log: Log) -> dict[str, datetime]:
    """Until when each backup's log goes on, as it was told last."""
    return {backup: until for until, there in chains(log) for backup in there}


def unasked(log: Log) -> list[str]:
    return [one["operation_id"] for one in log.stage.said("operation.begun") if one["kind"] == "backup"]


def keys(log: Log) -> list[str]:
    return sorted(key for key in log.stage.store.kept if "/log/" in key)


def test_other_data_have_a_full_backup_made_and_their_log_begins_with_that(log: Log) -> None:
    become(log, "r")
    log.turn()
    assert len(unasked(log)) == 1
    log.turn()
    assert (len(unasked(log)), log["c-0"].there) == (1, True), "the log is kept before that begins"
    log.stage.settle()
    finish(log, 1, 2, 3)
    assert [key.split("/log/")[1].split("/")[0] for key in keys(log)].count("r") == 1
    assert [run[-1] for run in log.runs] == [True, True]


def test_what_each_backup_leads_to_is_worked_out_within_its_own_data(kept_from_5: Log) -> None:
    log = kept_from_5
    write(log, 5, 6)
    become(log, "r")
    log.turn()
    log.stage.settle()
    write(log, 5, 6, 7, minute=9)
    told = dict(chained(log))
    (new,) = set(told) - {"b"}
    assert (told["b"], told[new] >= at(539)) == (at(60), True)
    with log.stage.database.read() as connection:
        kept, former = backups.get(connection, new), backups.get(connection, "b")
        assert (kept.history, former.history) == ("r", "")
        for one, moment in ((kept, at(539)), (former, at(60))):
            runs = runs_to(connection, REPLAYING, one, moment)
            assert [(run.history, run.first) for run in runs] == [(one.history, 5)]


def test_a_cluster_is_restored_in_place_to_a_moment_of_its_log_and_nothing_of_that_is_left(kept_from_5: Log) -> None:
    log = kept_from_5
    write(log, 5, 6)
    write(log, 7, minute=3)
    event = ClusterRestoreRequested(
        cluster_id="c", operation_id="r", project_id="p", restore=RestoreRef(backup_id="b", time=at(100.25))
    )
    actions.request_restore(log.stage.database, event, log.stage.hosts.manager_for)
    log.stage.settle()
    (told,) = log.stage.said("cluster.restored")
    assert datetime.fromisoformat(told["time"]) == at(100.25)
    jobs = log["c-0"].jobs
    assert [name for name in jobs if name.startswith("receive-1")] == [f"receive-1-log-{LINE}-5-{LINE}-7", "receive-1"]
    assert "remove the log that was replayed" in log.stage.fleet["c-0"].told
    assert (log.archive.history, log.archive.begun) == ("r", {})


def test_the_log_of_data_that_come_back_goes_on_where_it_ended(log: Log) -> None:
    become(log, "r")
    log.turn()
    log.stage.settle()
    log.turn()
    finish(log, 1, 2)
    become(log, "")
    log.turn()
    log.stage.clock.advance(600)
    finish(log, 3)
    assert log.archive.broken_at is None
    assert [(run[2], run[3], run[4]) for run in log.runs if run[2] == 3] == [(3, 3, True)]
    assert len(unasked(log)) == 1


def test_who_has_looked_at_the_one_data_notes_nothing_under_the_other(log: Log) -> None:
    log["c-0"].finish(3, at=log.stage.clock.now().timestamp())
    mine = log.claim()
    log.stage.fleet.meanwhile["see what waits of the log"] = lambda: become(log, "r")
    with pytest.raises(StaleEpoch):
        log.flow.turn(mine, lambda: None)
    assert len(log.runs) == 1


def test_the_log_of_former_data_stays_as_long_as_their_backups(log: Log) -> None:
    become(log, "r")
    log.turn()
    log.stage.settle()
    log.turn()
    assert len(keys(log)) == 1
    drop(log.stage)
    log.turn()
    assert keys(log) == []
