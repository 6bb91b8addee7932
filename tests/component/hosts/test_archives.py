"""The log of a cluster on its way to a store, in datastore_agentless's own tables, over hosts and a store in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from services.datastore_agentless import actions
from services.datastore_agentless.domain.archive import Archive
from services.datastore_agentless.domain.backup import Backup
from services.datastore_agentless.domain.cluster import Status
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.store import archives, tables
from services.datastore_agentless.workflows.archive_log import CLOCKS_APART, RUN_PIECES, ArchiveLog
from services.datastore_agentless.workflows.keeping import Keeping
from shared.contracts.api import BackupDeleteRequested, BackupRequested
from shared.db import Database, Tx
from shared.errors import Cancelled, StaleEpoch
from tests.component.hosts.fleet import Stage
from tests.component.hosts.spools import SpoolHosts, SpoolOn, segment
from tests.component.hosts.test_backups import bury, keeps
from tests.component.hosts.wishes import said
from tests.support.keeping import SECRET_URL, Killed

DAY = 86_400
LINE = "700-00000001"


@dataclass
class Log:
    """The log of the cluster `c`, and whoever keeps it."""

    stage: Stage
    spools: dict[str, SpoolOn] = field(default_factory=dict)

    def __post_init__(self) -> None:
        stage = self.stage
        hosts = SpoolHosts(
            stage.database, SshPool(), keeps, simulated=stage.hosts.simulated, fleet=stage.fleet, spools=self.spools
        )
        self.flow = ArchiveLog(Keeping(hosts, stage.stores), self._renew)
        with stage.database.write() as tx:
            archives.enrol(tx, "c", "p")

    def _renew(self, tx: Tx, former: Sequence[Backup]) -> None:
        actions.renew_backup(tx, former, self.stage.manager_for, self.stage.stores)

    def __getitem__(self, name: str) -> SpoolOn:
        return self.spools.setdefault(name, SpoolOn())

    def claim(self) -> Archive:
        with self.stage.database.write() as tx:
            (mine,) = archives.claim(tx, "w", 30.0, 1)
        return mine

    def turn(self, check: Callable[[], None] = lambda: None) -> int | None:
        """One turn, by whoever comes."""
        mine = self.claim()
        try:
            brought = self.flow.turn(mine, check)
        finally:
            with self.stage.database.write() as tx:
                archives.give_back(tx, mine, tx.database.clock.now())
        return brought

    @property
    def archive(self) -> Archive:
        with self.stage.database.read() as connection:
            found = archives.find(connection, "c")
        assert found is not None
        return found

    @property
    def runs(self) -> list[tuple[str, str, int, int, bool]]:
        """Node, line, first and last piece of each run, and whether it is joined to what comes before."""
        r = tables.log_runs
        with self.stage.database.read() as connection:
            rows = connection.execute(select(r).order_by(r.c.at, r.c.line, r.c.first)).all()
        return [(row.instance_id, row.line, row.first, row.last, row.joined) for row in rows]


def back_up(stage: Stage, backup: str = "b") -> None:
    event = BackupRequested(operation_id=f"make-{backup}", backup_id=backup, cluster_id="c", project_id="p")
    actions.request_backup(stage.database, event, stage.hosts.manager_for, stage.stores)
    stage.settle()


def drop(stage: Stage, backup: str = "b") -> None:
    event = BackupDeleteRequested(operation_id=f"drop-{backup}", backup_id=backup, cluster_id="c", project_id="p")
    actions.delete_backup(stage.database, event)
    stage.settle()


def seconds(log: Log) -> float:
    """What the hosts' clocks say."""
    return log.stage.clock.now().timestamp()


@pytest.fixture
def log(database: Database) -> Log:
    """A cluster of two nodes with a backup, and a spool on each."""
    stage = Stage(database, manager_for=keeps).serve(nodes=2)
    back_up(stage)
    made = Log(stage)
    made.turn()
    assert made["c-0"].there
    assert made["c-1"].there
    return made


def test_what_waits_is_brought_to_the_store_noted_and_then_let_go_of(log: Log) -> None:
    log["c-0"].finish(1, 2, 3)
    assert log.turn() == 3
    assert log.runs == [("c-0", LINE, 1, 3, True)]
    assert log["c-0"].files == {}
    assert log["c-0"].sent == [[segment(1), segment(2), segment(3)]]
    assert log.turn() == 0
    assert len(log.runs) == 1


def test_beside_a_run_lies_what_one_has_to_know_to_read_it_without_dtrove(log: Log) -> None:
    log["c-0"].finish(1, 2)
    log.turn()
    (key,) = [one for one in log.stage.store.kept if "/log/" in one]
    assert key == f"p/c/log/{LINE}/c-0/000000000001"
    told = json.loads(log.stage.store.manifest(key))
    assert {name: told[name] for name in ("version", "cluster", "project", "instance", "line", "first", "last", "files")} == {
        "version": 1, "cluster": "c", "project": "p", "instance": "c-0", "line": LINE, "first": 1, "last": 2,
        "files": [segment(1), segment(2)],
    }  # fmt: skip
    assert told["recipient"].startswith("age1")
    assert [part["number"] for part in told["parts"]] == [1, 2]
    assert SECRET_URL not in json.dumps(told)


def test_many_pieces_go_in_several_runs_that_join(log: Log) -> None:
    log["c-0"].finish(*range(1, RUN_PIECES + 3))
    log.turn()
    assert log.runs == [("c-0", LINE, 1, RUN_PIECES, True), ("c-0", LINE, RUN_PIECES + 1, RUN_PIECES + 2, True)]


def test_an_idle_database_is_vouched_for_by_each_look_though_no_piece_comes(log: Log) -> None:
    log["c-0"].at = seconds(log)
    log.turn()
    first = log.archive.until
    assert first == log.stage.clock.now() - timedelta(seconds=60)
    log.stage.clock.advance(300)
    log["c-0"].at = seconds(log)
    log.turn()
    assert log.archive.until == first + timedelta(seconds=300)


def test_how_far_it_is_kept_is_told_whenever_that_has_changed(log: Log) -> None:
    log["c-0"].at = seconds(log)
    log.turn()
    told = said(log.stage.database, "archive.seen")
    assert datetime.fromisoformat(told[-1]["until"]) == log.stage.clock.now() - timedelta(seconds=60)
    assert (told[-1]["broken_at"], told[-1]["trouble"], told[-1]["ended"]) == (None, "", False)
    log.turn()
    assert said(log.stage.database, "archive.seen") == told
    drop(log.stage)
    log.turn()
    assert said(log.stage.database, "archive.seen")[-1]["ended"]


def test_where_the_engine_is_behind_what_is_safe_is_as_old_as_its_newest_piece(log: Log) -> None:
    log["c-0"].at = seconds(log)
    log["c-0"].finish(1, at=seconds(log) - 40)
    log["c-0"].waiting, log["c-0"].failing = 3, segment(2)
    log.turn()
    assert log.archive.until == log.stage.clock.now() - timedelta(seconds=41)
    assert "c-0 could not put" in log.archive.trouble
    log["c-0"].waiting, log["c-0"].failing = 0, ""
    log.turn()
    assert log.archive.trouble == ""


def test_a_hole_is_found_and_nothing_is_vouched_for_until_a_full_backup_was_begun_after_it(log: Log) -> None:
    log["c-0"].finish(1, 2)
    log.turn()
    before = log.archive.until
    log["c-0"].finish(5, at=1_767_225_610.0)
    log["c-0"].at = seconds(log) + DAY
    log.turn()
    assert [run[2:] for run in log.runs] == [(1, 2, True), (5, 5, False)]
    assert (log.archive.until, log.archive.broken_at) == (before, log.stage.clock.now())
    (broken,) = said(log.stage.database, "archive.broken")
    assert datetime.fromisoformat(broken["until"]) == before
    log.stage.clock.advance(10)
    back_up(log.stage, "b2")
    log.turn()
    assert log.archive.broken_at is None
    assert log.archive.until == datetime.fromtimestamp(log["c-0"].at - 60, UTC)


def test_pieces_that_were_given_up_are_a_hole_and_are_named_once(log: Log) -> None:
    log["c-0"].lost = [segment(4), segment(5)]
    log.turn()
    assert log.archive.broken_at is not None
    assert "given up 2 pieces" in log.archive.trouble
    assert log["c-0"].lost == []
    log.turn()
    assert log.archive.trouble == ""
    assert log.archive.broken_at is not None


def fail_over(log: Log) -> None:
    """The other node leads from now on, with a line of its own."""
    log.stage.fleet["c-0"].standby, log.stage.fleet["c-1"].standby = True, False
    log["c-1"].timeline = 2


def test_after_a_failover_the_new_line_joins_where_the_old_one_ended_and_its_history_goes_along(log: Log) -> None:
    log["c-0"].finish(1, 2)
    log.turn()
    fail_over(log)
    log["c-1"].files["00000002.history"] = 1_767_225_610.0
    log["c-1"].finish(3, 4, at=1_767_225_620.0)
    log.turn()
    assert log.runs == [("c-0", LINE, 1, 2, True), ("c-1", "700-00000002", 3, 4, True)]
    assert log["c-1"].sent == [["00000002.history", segment(3, 2), segment(4, 2)]]
    assert log["c-1"].files == {}
    assert log.archive.broken_at is None


def test_what_a_dead_primary_had_not_given_away_is_a_hole(log: Log) -> None:
    log["c-0"].finish(1, 2)
    log.turn()
    log.stage.fleet["c-0"].reachable = False
    fail_over(log)
    log["c-1"].finish(5, at=1_767_225_620.0)
    log.turn()
    assert log.runs[-1] == ("c-1", "700-00000002", 5, 5, False)
    assert log.archive.broken_at is not None
    assert "c-0 does not answer" in log.archive.trouble


def test_nothing_is_vouched_for_on_a_line_of_which_nothing_has_come_yet(log: Log) -> None:
    log["c-0"].finish(1, 2)
    log.turn()
    before = log.archive.until
    fail_over(log)
    log["c-1"].at = seconds(log) + DAY
    log.turn()
    assert log.archive.until == before


def test_two_nodes_that_have_both_begun_the_same_line_share_neither_key_nor_row(log: Log) -> None:
    log["c-0"].finish(1, 2)
    log.turn()
    fail_over(log)
    log["c-1"].finish(3, 4, at=1_767_225_620.0)
    log.turn()
    log.stage.fleet["c-0"].standby, log.stage.fleet["c-1"].standby = False, True
    log["c-0"].timeline = 2
    log["c-0"].finish(3, 4, at=1_767_225_640.0)
    log.turn()
    assert [run[:4] for run in log.runs[1:]] == [("c-1", "700-00000002", 3, 4), ("c-0", "700-00000002", 3, 4)]
    assert len({one for one in log.stage.store.kept if "/log/" in one}) == 3


def test_who_dies_once_a_run_is_whole_has_brought_it_and_the_next_one_notes_it(log: Log) -> None:
    def die() -> None:
        raise Killed

    log["c-0"].finish(1, 2)
    log.stage.store.meanwhile["finished"] = die
    with pytest.raises(Killed):
        log.turn()
    assert log.runs == []
    log["c-0"].finish(3, at=1_767_225_610.0)
    log.turn()
    log.turn()
    assert [run[2:] for run in log.runs] == [(1, 2, True), (3, 3, True)]
    assert len(log["c-0"].sent) == 2
    assert log["c-0"].files == {}


def test_who_dies_before_a_node_has_let_go_leaves_nothing_to_be_sent_twice(log: Log) -> None:
    log["c-0"].finish(1, 2)
    log.turn()
    log["c-0"].finish(1, 2)
    log.turn()
    assert log["c-0"].files == {}
    assert len(log["c-0"].sent) == 1


def test_what_could_not_be_brought_waits_is_told_and_keeps_no_other_node_waiting(log: Log) -> None:
    log["c-0"].finish(1)
    log["c-1"].finish(9, timeline=2, at=1_767_225_700.0)
    log["c-0"].breaks = lambda: log["c-0"].files.clear()
    log.turn()
    assert "tar: no such file" in log.archive.trouble
    assert [run[0] for run in log.runs] == ["c-1"]
    assert not log.stage.store.begun


def test_a_store_that_is_away_leaves_all_of_it_on_the_node(log: Log) -> None:
    log["c-0"].finish(1)
    log.stage.store.away = True
    log.turn()
    assert "does not answer" in log.archive.trouble
    assert list(log["c-0"].files) == [segment(1)]
    log.stage.store.away = False
    log.turn()
    assert (log.archive.trouble, log["c-0"].files) == ("", {})


def test_whoever_has_lost_the_lease_notes_nothing_and_lets_nothing_go(log: Log) -> None:
    mine = log.claim()
    log["c-0"].finish(1)
    log.stage.clock.advance(31)
    log["c-0"].breaks = log.claim
    with pytest.raises(StaleEpoch):
        log.flow.turn(mine, lambda: None)
    assert log.runs == []
    assert list(log["c-0"].files) == [segment(1)]


def test_a_turn_ends_when_it_is_told_to(log: Log) -> None:
    def end() -> None:
        raise Cancelled("this process ends")

    log["c-0"].finish(1)
    with pytest.raises(Cancelled):
        log.turn(end)
    assert list(log["c-0"].files) == [segment(1)]


def test_a_server_in_place_of_another_gets_a_spool_of_its_own(log: Log) -> None:
    log["c-1"].there = False
    log.turn()
    assert log["c-1"].there


def test_an_engine_that_archives_from_its_next_start_on_is_said_to_want_one(log: Log) -> None:
    log["c-1"].archives = False
    log.turn()
    assert log.archive.trouble == "c-1 keeps its log from its next start on: restart the cluster"


def test_runs_that_nothing_builds_upon_go_and_with_the_last_backup_all_of_it(log: Log) -> None:
    log["c-0"].finish(1, at=seconds(log))
    log.turn()
    log.stage.clock.advance(CLOCKS_APART.total_seconds() + 2 * DAY)
    back_up(log.stage, "b2")
    log["c-0"].finish(2, at=seconds(log))
    log.turn()
    assert [run[2] for run in log.runs] == [1, 2]
    drop(log.stage)
    log.turn()
    assert [run[2] for run in log.runs] == [2]
    drop(log.stage, "b2")
    assert log.turn() is None
    assert log.runs == []
    assert not log.stage.store.kept
    assert not log["c-0"].there
    with log.stage.database.read() as connection:
        assert archives.find(connection, "c") is None


def test_a_node_that_could_not_be_told_that_its_log_is_not_kept_is_told_once_it_can_be(log: Log) -> None:
    log.stage.fleet["c-1"].reachable = False
    drop(log.stage)
    assert log.turn() == 0
    assert "c-1 does not answer" in log.archive.trouble
    log.stage.fleet["c-1"].reachable = True
    assert log.turn() is None
    assert not log["c-1"].there


def test_nodes_of_a_cluster_that_is_stopped_are_told_when_it_serves_again(log: Log) -> None:
    def become(status: Status) -> None:
        with log.stage.database.write() as tx:
            tx.connection.execute(update(tables.clusters).values(status=status))

    become(Status.STOPPED)
    drop(log.stage)
    assert log.turn() == 0
    assert log["c-0"].there
    become(Status.ACTIVE)
    assert log.turn() is None
    assert not log["c-0"].there


def test_of_a_job_that_has_sent_a_run_nothing_stays_on_the_node(log: Log) -> None:
    log["c-0"].finish(1)
    log.turn()
    assert "forget the job that has sent it" in log.stage.fleet["c-0"].told


def test_the_log_of_a_cluster_that_is_gone_stays_as_long_as_its_backups(log: Log) -> None:
    log["c-0"].finish(1, at=seconds(log))
    log.turn()
    bury(log.stage)
    assert log.turn() == 0
    assert len(log.runs) == 1
    drop(log.stage)
    assert log.turn() is None
    assert not log.stage.store.kept


def test_a_log_is_kept_of_clusters_that_serve_and_have_a_backup_to_build_upon(database: Database) -> None:
    stage = Stage(database, manager_for=keeps).serve(nodes=1)

    def found(*datastores: str) -> list[tuple[str, str]]:
        with database.read() as connection:
            return archives.unarchived(connection, datastores)

    kind = stage.cluster().datastore_id
    assert found(kind) == []
    back_up(stage)
    assert found(kind) == [("c", "p")]
    assert found("another") == []
    Log(stage)
    assert found(kind) == []
