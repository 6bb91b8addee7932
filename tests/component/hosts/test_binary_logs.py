"""MariaDB's log on its way to a store, and from there to a restore, in datastore_agentless's own tables, over hosts and a store in memory.

The hosts are the fleet's, whose clusters fail over as PostgreSQL's do; what is kept of their log, and how, is MariaDB's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.datastore_agentless import actions
from services.datastore_agentless.datastores.base.manager import BaseManager
from services.datastore_agentless.datastores.mysql.archiving import BinaryLog
from services.datastore_agentless.datastores.mysql.replaying import BinaryLogReplay
from services.datastore_agentless.domain.archive import Archive
from services.datastore_agentless.domain.backup import Backup
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.hosts.base import Job, Result, Run
from services.datastore_agentless.hosts.driver import Driver
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.store import archives
from services.datastore_agentless.workflows.archive_log import ArchiveLog
from services.datastore_agentless.workflows.keeping import Keeping
from shared.contracts.api import BackupRequested
from shared.contracts.values import RestoreRef
from shared.db import Database, Tx
from tests.component.hosts.fleet import FleetHosts, FleetRunner, Stage, workflows
from tests.component.hosts.test_backups import keeps, kept
from tests.component.hosts.wishes import admin_user, said, up, wish
from tests.support.keeping import sent

# When the backup has ended, by the clock of its engine.
ENDED = datetime(2026, 11, 30, tzinfo=UTC)


class FleetLog(BinaryLog):
    """As it is; the fleet's own configuration has a place for a command."""

    def command(self, node: Instance) -> str:
        return "true"


def logs(entry: Datastore) -> BaseManager:
    """The fleet's manager, with MariaDB's log."""
    made = keeps(entry)
    made.archiving_class, made.replaying_class = FleetLog, BinaryLogReplay  # type: ignore[assignment]
    return made


@dataclass
class LogOn:
    """The log of one node: its files by number, each with where it begins and ends, and when it was closed. `state` is where it is."""

    line: str
    files: dict[int, tuple[str, str, float]] = field(default_factory=dict)
    state: str = "0-1-10"
    begun: bool = False
    lost: list[int] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)

    def close(self, number: int, ends: str, *, minute: float) -> None:
        """The file that was open ends here, so many minutes after the backup."""
        self.files[number] = (self.state, ends, (ENDED + timedelta(minutes=minute)).timestamp())
        self.state = ends

    def looked(self, writes: bool, now: float) -> str:
        if not self.begun:
            return f"at {now}\n"
        lines = [f"at {now}", f"line {self.line}", f"role {'primary' if writes else 'replica'}"]
        if writes:
            lines += [f"lost {number}" for number in self.lost]
            lines += [f"piece {number} 1000 {at}" for number, (_, _, at) in self.files.items()]
            lines += [f"gtids {number} [{begins}]" for number, (begins, _, _) in self.files.items()]
            lines += [f"gtids {number + 1} [{ends}]" for number, (_, ends, _) in list(self.files.items())[-1:]]
        return "\n".join(lines) + "\n"


@dataclass(kw_only=True)
class LogRunner(FleetRunner):
    """A host of the fleet with a binary log."""

    logs: dict[str, LogOn]

    def run(self, command: Run) -> Result:
        log, done = self.logs[self.target.name], super().run(command)
        match command.title:
            case "see what waits of the log":
                return Result(stdout=log.looked(not self.fleet.at(self.target.addr).standby, ENDED.timestamp()))
            case "see from where on the log is needed":
                return Result(stdout=f"state {log.state}\n")
            case "see how much room there is for the data and the log":
                return Result(stdout="begun\n")
            case "make a mark for the log":
                log.begun = True
            case "let go of what is safe of the log":
                gone = {int(name.rpartition(".")[2]) for name in str(command.stdin).split()}
                log.files = {number: one for number, one in log.files.items() if number not in gone}
                log.lost = [number for number in log.lost if number not in gone]
        return done

    def follow(self, command: Job) -> Result:
        self.logs[self.target.name].jobs[command.name] = command.script
        return Result(stdout=sent()) if command.name.startswith("send-log-") else super().follow(command)


@dataclass(frozen=True)
class LogHosts(FleetHosts):
    """Hosts of which every one has a log, by its name."""

    logs: dict[str, LogOn] = field(default_factory=dict)

    def _driver(self, target: Any, **options: Any) -> Driver:
        return LogRunner(hosts=self.simulated, fleet=self.fleet, logs=self.logs, target=target, **options)


class Shop:
    """A cluster of two nodes whose log is kept, with a backup at its tenth transaction."""

    def __init__(self, database: Database) -> None:
        self.stage = stage = Stage(database, manager_for=logs).serve(nodes=2)
        self.logs = {name: LogOn(name[-1] * 8) for name in ("c-0", "c-1", "d-0")}
        hosts = LogHosts(database, SshPool(), logs, simulated=stage.hosts.simulated, fleet=stage.fleet, logs=self.logs)
        stage.hosts, self.flow = hosts, ArchiveLog(Keeping(hosts, stage.stores), self._renew)
        stage.engine = workflows(hosts, stage.stores)
        with database.write() as tx:
            archives.enrol(tx, "c", "p")
        event = BackupRequested(operation_id="make-b", backup_id="b", cluster_id="c", project_id="p")
        actions.request_backup(database, event, hosts.manager_for, stage.stores)
        self.turn()
        stage.settle()

    def __getitem__(self, name: str) -> LogOn:
        return self.logs[name]

    def _renew(self, tx: Tx, former: Sequence[Backup]) -> None:
        actions.renew_backup(tx, former, self.stage.manager_for, self.stage.stores)

    def turn(self) -> None:
        with self.stage.database.write() as tx:
            (mine,) = archives.claim(tx, "w", 30.0, 1)
        self.flow.turn(mine, lambda: None)
        with self.stage.database.write() as tx:
            archives.give_back(tx, mine, tx.database.clock.now())

    def fail_over(self) -> None:
        self.stage.fleet["c-0"].standby, self.stage.fleet["c-1"].standby = True, False

    def restore(self, seconds: float) -> str:
        """The script by which a new cluster's node takes the data of a moment; the problem where there is none."""
        event = replace(wish("d"), restore=RestoreRef(backup_id="b", time=ENDED + timedelta(seconds=seconds)))
        actions.expect_cluster(self.stage.database, event, admin_user)
        actions.issue_key(self.stage.database, "d")
        actions.prepare_node(self.stage.database, up("d-0", "d"))
        self.stage.settle()
        failed = self.stage.said("cluster.failed", "make-d")
        return str(failed[0]["problem"]["message"]) if failed else self["d-0"].jobs["receive"]

    @property
    def archive(self) -> Archive:
        with self.stage.database.read() as connection:
            found = archives.find(connection, "c")
        assert found is not None
        return found

    @property
    def chains(self) -> list[tuple[float, list[str]]]:
        """How many seconds after the backup the log goes on from which backups, as it was told last."""
        told = said(self.stage.database, "archive.seen")[-1]["chains"]
        return [((datetime.fromisoformat(one["until"]) - ENDED).total_seconds(), one["backups"]) for one in told]


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


def calls(script: str) -> list[str]:
    return re.findall(r"^replay (.*)$", script, re.MULTILINE)


def test_a_backup_says_what_its_server_had_logged(shop: Shop) -> None:
    assert kept(shop.stage).manifest["log"] == {"line": "", "number": 0, "position": "0-1-10"}


def test_a_restore_takes_the_files_that_the_backup_lacks_up_to_the_moment_s_second(shop: Shop) -> None:
    shop["c-0"].close(3, "0-1-20", minute=1)
    shop.turn()
    shop["c-0"].close(4, "0-1-30", minute=3)
    shop.turn()
    assert shop.chains == [(179, ["b"])]
    script = shop.restore(170.5)
    assert calls(script) == ["00000000 3 3 0-1-10 0-1-20 '' ''", "00000000 4 4 0-1-20 0-1-30 '' timed"]
    assert "moment='2026-11-30 00:02:50'" in script
    assert shop.stage.said("cluster.active", "make-d")


def test_over_a_failover_the_new_primary_s_log_goes_on_and_what_it_has_logged_of_the_old_is_not_sent_again(
    shop: Shop,
) -> None:
    for number, ends in ((3, "0-1-20"), (4, "0-1-30")):
        shop["c-0"].close(number, ends, minute=number - 2)
        shop["c-1"].close(number + 4, ends, minute=number - 2)
    shop.turn()
    shop.fail_over()
    shop["c-1"].close(9, "0-1-30,0-2-40", minute=4)
    shop.turn()
    assert [name for name in shop["c-1"].jobs if name.startswith("send-log-")] == ["send-log-3-11111111-9"]
    assert (shop.archive.broken_at, shop.chains) == (None, [(239, ["b"])])
    script = shop.restore(230)
    assert calls(script) == ["00000000 3 4 0-1-10 0-1-30 '' ''", "11111111 9 9 0-1-30 0-2-40 '' timed"]


def test_an_idle_cluster_is_vouched_for_after_a_failover_too(shop: Shop) -> None:
    shop["c-0"].close(3, "0-1-20", minute=-3)
    shop["c-1"].close(7, "0-1-20", minute=-3)
    shop.turn()
    shop.fail_over()
    shop.turn()
    assert [name for name in shop["c-1"].jobs if name.startswith("send-log-")] == ["send-log-3-11111111-7"]
    assert shop.archive.until == ENDED - timedelta(seconds=60)


def test_a_new_primary_that_lacks_what_is_safe_is_a_hole(shop: Shop) -> None:
    shop["c-0"].close(3, "0-1-20", minute=1)
    shop.turn()
    shop.fail_over()
    shop["c-1"].state = "0-1-25"
    shop["c-1"].close(9, "0-1-25,0-2-40", minute=4)
    shop.turn()
    assert shop.archive.broken_at is not None
    assert shop.chains[-1] == (59, ["b"])
    assert "ends at 2026-11-30T00:00:59" in shop.restore(100)


def test_files_that_were_purged_before_they_were_fetched_are_a_hole_and_a_full_backup_is_made(shop: Shop) -> None:
    shop["c-0"].close(3, "0-1-20", minute=1)
    shop.turn()
    shop["c-0"].state, shop["c-0"].lost = "0-1-30", [4]
    shop["c-0"].close(5, "0-1-40", minute=5)
    shop.turn()
    assert "given up 1 pieces" in shop.archive.trouble
    shop.turn()
    assert [one["kind"] for one in shop.stage.said("operation.begun")].count("backup") == 1
