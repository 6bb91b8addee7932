"""Clusters that begin with the data of a moment between backups, in datastore_agentless's own tables, over hosts and a store in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.store import archives, backups, clusters
from services.datastore_agentless.workflows.archive_log import RENEWED_AT_MOST, STALE_AFTER
from shared.contracts.api import BackupRequested
from shared.contracts.values import RestoreRef
from shared.db import Database
from shared.errors import StaleEpoch
from tests.component.hosts.fleet import Stage, workflows
from tests.component.hosts.spools import SpoolHosts, SpoolOn, segment
from tests.component.hosts.test_archives import LINE, Log, fail_over
from tests.component.hosts.test_backups import bury, keeps, kept
from tests.component.hosts.wishes import admin_user, said, up, wish
from tests.support.keeping import Killed

# When the backup has ended, by the clock of its engine.
ENDED = datetime(2026, 11, 30, tzinfo=UTC)


def ask(stage: Stage, backup: str = "b") -> None:
    event = BackupRequested(operation_id=f"make-{backup}", backup_id=backup, cluster_id="c", project_id="p")
    actions.request_backup(stage.database, event, stage.hosts.manager_for, stage.stores)


@pytest.fixture
def log(database: Database) -> Log:
    """A cluster of two nodes, whose log is kept from before its backup `b` on, which needs it from segment 5 on."""
    return kept_from(database, 5)


def kept_from(database: Database, segment_number: int) -> Log:
    """The same, from another segment on."""
    stage, spools = Stage(database, manager_for=keeps).serve(nodes=2), dict[str, SpoolOn]()
    stage.hosts = SpoolHosts(
        database, SshPool(), keeps, simulated=stage.hosts.simulated, fleet=stage.fleet, spools=spools
    )
    stage.engine = workflows(stage.hosts, stage.stores)
    ask(stage)
    made = Log(stage, spools)
    made["c-0"].begins = segment_number
    made.turn()
    stage.settle()
    return made


def at(seconds: float) -> datetime:
    """So long after the end of the backup."""
    return ENDED + timedelta(seconds=seconds)


def write(log: Log, *numbers: int, node: str = "c-0", minute: float = 1.0) -> None:
    """Segments are finished, so many minutes after the backup; and brought to the store."""
    log[node].finish(*numbers, at=at(minute * 60).timestamp())
    log.turn()


def restore(log: Log, moment: datetime, cluster: str = "d") -> None:
    """Want a cluster that begins with the data of a moment; its server comes up."""
    database = log.stage.database
    event = replace(wish(cluster), restore=RestoreRef(backup_id="b", time=moment))
    actions.expect_cluster(database, event, admin_user)
    actions.issue_key(database, cluster)
    actions.prepare_node(database, up(f"{cluster}-0", cluster))
    log.stage.settle()


def chains(log: Log) -> list[Any]:
    """Until when the log goes on from which backups, as it was told last."""
    return [(datetime.fromisoformat(one["until"]), one["backups"])
            for one in said(log.stage.database, "archive.seen")[-1]["chains"]]  # fmt: skip


def trouble(log: Log, cluster: str = "d") -> str:
    (failed,) = log.stage.said("cluster.failed", f"make-{cluster}")
    return str(failed["problem"]["message"])


def test_a_backup_says_from_which_piece_on_it_needs_the_log(log: Log) -> None:
    assert kept(log.stage).manifest["log"] == {"line": LINE, "number": 5}


def test_from_which_backups_the_log_goes_on_is_told_and_until_when(log: Log) -> None:
    write(log, 5, 6)
    assert chains(log) == [(at(60), ["b"])]
    write(log, 7, minute=2)
    assert chains(log) == [(at(119), ["b"])]


def test_the_log_is_fetched_before_the_backup_which_takes_it_up_to_the_moment_and_then_it_is_gone(log: Log) -> None:
    write(log, 5, 6)
    write(log, 7, minute=3)
    write(log, 8, minute=9)
    restore(log, at(100.25))
    assert log.stage.said("cluster.active", "make-d")
    told = log.stage.fleet["d-0"].told
    steps = [
        "fetch the log",
        "fetch the backup",
        "put the data of the backup in place",
        "remove the log that was replayed",
    ]
    assert [told.count(one) for one in steps] == [1, 1, 1, 1]
    assert sorted(steps, key=told.index) == steps
    jobs = log["d-0"].jobs
    assert list(jobs) == [f"receive-log-{LINE}-5-{LINE}-7", "receive"], (
        "what is younger than the moment stays in the store"
    )
    assert "recovery_target_time=2026-11-30 00:01:40.250000+00" in jobs["receive"]
    assert "recovery_target_timeline=1" in jobs["receive"]


def test_over_a_failover_the_pieces_of_both_lines_come_and_the_newer_one_is_the_target(log: Log) -> None:
    write(log, 5, 6)
    fail_over(log)
    log["c-1"].files["00000002.history"] = at(70).timestamp()
    write(log, 7, 8, node="c-1", minute=2)
    restore(log, at(118))
    assert log.stage.said("cluster.active", "make-d")
    jobs = log["d-0"].jobs
    assert list(jobs) == [f"receive-log-{LINE}-5-700-00000002-8", "receive"]
    assert "recovery_target_timeline=2" in jobs["receive"]
    assert "last=000000020000000000000008" in jobs["receive"]


def test_a_moment_before_a_failover_is_on_the_older_line(log: Log) -> None:
    write(log, 5, 6)
    write(log, 7, minute=5)
    fail_over(log)
    write(log, 8, node="c-1", minute=9)
    restore(log, at(90))
    assert "recovery_target_timeline=1" in log["d-0"].jobs["receive"]


def test_a_cluster_that_is_gone_can_be_restored_to_a_moment_as_long_as_its_backups_are_there(log: Log) -> None:
    write(log, 5, 6)
    bury(log.stage)
    log.turn()
    restore(log, at(30))
    assert log.stage.said("cluster.active", "make-d")


@pytest.mark.parametrize(
    ("seconds", "words"), [(-1, "ended at 2026-11-30T00:00:00"), (61, "ends at 2026-11-30T00:01:00")]
)
def test_a_moment_out_of_reach_is_refused_with_what_there_is(log: Log, seconds: float, words: str) -> None:
    write(log, 5, 6)
    restore(log, at(seconds))
    assert words in trouble(log)
    assert log["d-0"].jobs == {}


def test_a_moment_past_a_hole_is_refused(log: Log) -> None:
    write(log, 5, 6)
    write(log, 9, minute=5)
    restore(log, at(200))
    assert "ends at 2026-11-30T00:01:00" in trouble(log)


def spoil(log: Log, first: int) -> str:
    """A run is not in the store any more; returns its key."""
    (key,) = [one for one in log.stage.store.kept if one.endswith(f"/{first:012d}")]
    log.stage.store.kept.pop(key)
    return key


@pytest.mark.fault(22)
def test_a_run_that_the_store_does_not_have_any_more_is_a_hole_and_a_full_backup_follows(log: Log) -> None:
    for number in (5, 6, 7):
        write(log, number, minute=number)
    assert chains(log) == [(at(7 * 60 - 1), ["b"])]
    key = spoil(log, 6)
    restore(log, at(6.5 * 60))
    assert key in trouble(log)
    assert len(said(log.stage.database, "archive.broken")) == 1
    assert log.archive.broken_at is not None
    log["c-0"].begins = 9
    log.stage.clock.advance(1)
    log.turn()
    assert [until for until, _ in chains(log)] == [at(5 * 60 - 1)], "what comes before it can be restored as before"
    assert (log.archive.stale, unasked(log)) == (True, 1)
    log.stage.settle()
    write(log, 8, 9, minute=9)
    assert not log.archive.stale
    assert [until for until, _ in chains(log)] == [at(5 * 60 - 1), at(9 * 60)]


def test_a_run_that_is_found_damaged_twice_is_one_hole_and_whoever_keeps_the_log_meanwhile_knows_it(log: Log) -> None:
    for number in (5, 6, 7):
        write(log, number, minute=number)
    mine = log.claim()
    spoil(log, 6)
    restore(log, at(6.5 * 60))
    restore(log, at(6.5 * 60), cluster="e")
    assert len(said(log.stage.database, "archive.broken")) == 1
    assert "ends at" in trouble(log, "e")
    with pytest.raises(StaleEpoch):
        log.flow.turn(mine, lambda: None)


def test_where_there_is_no_room_for_the_log_nothing_is_fetched(log: Log) -> None:
    write(log, 5, 6)
    log["d-0"].free = str(100 * 1024**2)
    restore(log, at(30))
    assert trouble(log).startswith("d-0 has 0.1 GB left, and needs ")
    assert log["d-0"].jobs == {}


@pytest.mark.parametrize("moment", ["fetch the log", "fetch the backup", "remove the log that was replayed"])
def test_a_worker_that_dies_in_the_middle_is_followed_by_one_that_goes_on(log: Log, moment: str) -> None:
    def die() -> None:
        raise Killed

    write(log, 5, 6)
    log.stage.fleet.meanwhile[moment] = die
    restore(log, at(30))
    assert log.stage.fleet.meanwhile == {}
    assert len(log.stage.said("cluster.active", "make-d")) == 1
    with log.stage.database.read() as connection:
        assert clusters.cluster(connection, "d").restored_server == "s"


def unasked(log: Log) -> int:
    """How many full backups DTrove has begun by itself."""
    return len([one for one in log.stage.said("operation.begun") if one["kind"] == "backup"])


def test_where_the_log_goes_on_from_no_backup_a_full_one_is_made_unasked_and_not_one_after_the_other(log: Log) -> None:
    write(log, 6, 7)
    assert unasked(log) == 1
    log["c-0"].begins = 8
    log.turn()
    log.stage.settle()
    log.turn()
    assert unasked(log) == 1, "it has begun where the next piece is to come"
    write(log, 8, minute=2)
    assert [len(one[1]) for one in chains(log)] == [1]
    assert chains(log)[0][1] != ["b"]
    write(log, 10, minute=3)
    assert unasked(log) == 1
    log.stage.clock.advance(RENEWED_AT_MOST.total_seconds() + 1)
    log.turn()
    assert unasked(log) == 2


def test_a_hole_has_a_full_backup_made_and_the_older_one_leads_as_far_as_before(log: Log) -> None:
    write(log, 5, 6)
    log["c-0"].begins = 9
    log.stage.fleet.meanwhile["let go of what is safe of the log"] = lambda: log.stage.clock.advance(1)
    write(log, 9, minute=5)
    assert unasked(log) == 1
    log.stage.settle()
    write(log, 10, minute=6)
    assert log.archive.broken_at is None
    assert [(until, "b" in backups, len(backups)) for until, backups in chains(log)] == [
        (at(60), True, 1), (at(359), False, 1),
    ]  # fmt: skip


def test_a_first_backup_waits_a_little_until_the_log_is_kept_and_not_for_ever(database: Database) -> None:
    stage = Stage(database, manager_for=keeps).serve(nodes=1)
    with database.write() as tx:
        archives.enrol(tx, "c", "p")
    ask(stage)
    began = stage.clock.monotonic()
    stage.settle()
    assert stage.steps("make-b")[-1] == "finish"
    assert 60 <= stage.clock.monotonic() - began < 70


def test_a_log_that_is_kept_no_further_than_a_while_ago_or_has_a_hole_is_stale(log: Log) -> None:
    now = log.stage.clock.now().timestamp()
    log["c-0"].at = now
    log["c-0"].finish(5, at=now - 70)
    log.turn()
    assert not log.archive.stale
    log["c-0"].waiting = 3
    log.stage.clock.advance(STALE_AFTER.total_seconds() - 60)
    log.turn()
    assert not log.archive.stale
    log.stage.clock.advance(60)
    log.turn()
    assert log.archive.stale
    assert said(log.stage.database, "archive.seen")[-1]["stale"]
    log["c-0"].waiting, log["c-0"].at = 0, log.stage.clock.now().timestamp()
    log.turn()
    assert not log.archive.stale
    log["c-0"].lost = [segment(7)]
    log.turn()
    assert log.archive.stale


def test_a_hole_that_a_former_primary_fills_when_it_is_back_is_none_any_more_and_no_backup_was_made_for_it(
    log: Log,
) -> None:
    write(log, 5, 6)
    fail_over(log)
    log.stage.fleet["c-0"].reachable = False
    write(log, 8, node="c-1", minute=3)
    assert (log.archive.broken_at is not None, log.archive.stale, unasked(log)) == (True, True, 0)
    log.stage.fleet["c-0"].reachable = True
    log["c-0"].finish(7, at=at(90).timestamp())
    log.turn()
    assert (log.archive.broken_at, unasked(log)) == (None, 0)
    assert chains(log)[-1] == (at(179), ["b"])
    restore(log, at(170))
    assert list(log["d-0"].jobs) == [f"receive-log-{LINE}-5-700-00000002-8", "receive"]


def test_an_unasked_backup_goes_where_the_newest_is_and_counts_for_its_schedule(log: Log) -> None:
    with log.stage.database.write() as tx:
        former = kept(log.stage)
        former.schedule_id = "nightly"
        backups.save(tx, former)
    write(log, 6, 7)
    (begun,) = [one for one in log.stage.said("operation.begun") if one["kind"] == "backup"]
    with log.stage.database.read() as connection:
        made = backups.of_operation(connection, begun["operation_id"])
    assert made is not None
    assert (made.schedule_id, made.store, made.kind) == ("nightly", "local", "full")
