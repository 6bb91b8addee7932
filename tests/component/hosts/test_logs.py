"""A log is read over SSH as it is written, from a file of this very machine: its end, what comes after, and when that ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from services.datastore_agentless.actions import request_logs
from services.datastore_agentless.actions.readings import MOST_READERS
from services.datastore_agentless.datastores.base import BaseManager
from services.datastore_agentless.domain.cluster import Cluster
from services.datastore_agentless.domain.datastore import Datastore
from services.datastore_agentless.domain.instance import Instance
from services.datastore_agentless.domain.key import Key
from services.datastore_agentless.domain.reading import BEHIND_BYTES
from services.datastore_agentless.hosts.ssh import SshPool
from services.datastore_agentless.store import catalogue, clusters
from services.datastore_agentless.workflows.on_host import Hosts
from services.datastore_agentless.workflows.read_log import PAUSE_SECONDS, ReadLog
from shared.contracts.api import LogsRequested
from shared.db import Database, tasks
from shared.engine import StepEngine
from shared.secrets import Secret
from tests.component.hosts.sshd import Sshd
from tests.support.held import HeldClock

SECONDS = 15.0


class Desk:
    """datastore_agentless with one instance, the server, whose log is a file of the test's own."""

    def __init__(self, database: Database, server: Sshd, pool: SshPool, log: Path) -> None:
        self.database, self.log, self.clock = database, log, HeldClock()
        database.clock = self.clock
        key = Key(server.key.name, server.key.passphrase, server.key.private, server.key.public)
        with database.write() as tx:
            catalogue.put(tx, Datastore("d", "x", "x", "1", "debian-12"))
            clusters.add_cluster(tx, Cluster(id="c", project_id="p", operation_id="", name="shop", datastore_id="d", size=1,
                                             ram_mb=1024, vcpus=1, admin_password=Secret("hush'hush")))  # fmt: skip
            clusters.add_instance(tx, Instance(id="i", cluster_id="c", name="shop-1", addr="127.0.0.1", user=server.user,
                                               ssh_port=server.port, host_key=server.host_key))  # fmt: skip
            catalogue.add_key(tx, "c", key)
        hosts = Hosts(database, pool, self._manager)
        self.engine = StepEngine(database, {"read_log": ReadLog(hosts).workflow()})

    def _manager(self, datastore: Datastore) -> BaseManager:
        log = self.log

        class Logging(BaseManager):
            def log_path(self, instance: Instance) -> str:
                return str(log)

        return Logging(datastore)

    def ask(
        self, reading: str = "r", *, follow: bool = True, goes_on: bool = False, after: str = "", lines: int = 2
    ) -> None:
        request_logs(self.database, LogsRequested(
            reading_id=reading, cluster_id="c", project_id="p", instance_id="i", lines=lines, follow=follow, seconds=SECONDS,
            after=after, goes_on=goes_on,
        ))  # fmt: skip

    def told(self, seconds: float = 0.0) -> list[dict[str, Any]]:
        """What is told once so much time has gone by."""
        self.clock.advance(seconds)
        while self.engine.run_due() == 0:
            continue
        box = self.database.outbox
        with self.database.write() as tx:
            mine = box.c.routing_key == "logs.read"
            found = [json.loads(row.body) for row in tx.connection.execute(select(box).where(mine).order_by(box.c.id))]
            tx.connection.execute(delete(box))
        return found

    def lines(self, seconds: float = PAUSE_SECONDS) -> str:
        return "".join(one["text"] for one in self.told(seconds))

    def write(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text)


@pytest.fixture
def desk(database: Database, sshd: Sshd, pool: SshPool, tmp_path: Path) -> Desk:
    return Desk(database, sshd, pool, tmp_path / "it's.log")


def test_a_reader_sees_the_end_of_the_log_and_nothing_is_left_of_him(desk: Desk) -> None:
    desk.write("one\ntwo\nlogin with hush'hush refused\n")
    desk.ask(follow=False)
    (told,) = desk.told()
    assert (told["text"], told["last"], told["sequence"]) == ("two\nlogin with *** refused\n", True, 0)
    assert told["problem"] is None
    assert rows(desk) == []


def test_a_follower_sees_what_is_written_through_rotation_and_truncation(desk: Desk) -> None:
    desk.ask(lines=1)
    assert desk.told()[0]["notes"] == ["there is no log yet"]
    assert desk.told(PAUSE_SECONDS) == []
    desk.write("a\nb\n")
    assert desk.lines() == "b\n"
    desk.write("c\nhal")
    assert desk.lines() == "c\n"
    desk.write("f\nlast of the old\n")
    desk.log.rename(f"{desk.log}.1")
    desk.write("first of the new\n")
    # What was left of the old file comes before the new one.
    assert desk.lines() == "half\nlast of the old\n"
    (told,) = desk.told(PAUSE_SECONDS)
    assert (told["text"], told["notes"]) == ("first of the new\n", ["the log was rotated: a new file begins"])
    desk.log.write_text("anew\n")
    (told,) = desk.told(PAUSE_SECONDS)
    assert (told["text"], told["notes"]) == ("anew\n", ["the log was truncated: it begins anew"])


def test_a_follower_who_asks_no_more_is_read_for_no_more(desk: Desk) -> None:
    desk.write("a\n")
    desk.ask()
    desk.told()
    desk.clock.advance(SECONDS - 1)
    desk.ask(goes_on=True)
    desk.write("b\n")
    assert desk.lines(SECONDS - 1) == "b\n"
    desk.write("c\n")
    assert desk.told(2) == []
    assert rows(desk) == []
    # A word that comes too late begins nothing.
    desk.ask(goes_on=True)
    assert desk.told(1) == []


def test_a_follower_goes_on_after_a_place_that_he_was_told(desk: Desk) -> None:
    desk.write("a\nb\n")
    desk.ask()
    place = desk.told()[-1]["place"]
    desk.write("c\n")
    desk.ask("another", after=place)
    found = [one for one in desk.told() if one["reading_id"] == "another"]
    assert "".join(one["text"] for one in found) == "c\n"


def test_a_log_of_a_terabyte_costs_no_more_than_a_small_one_and_one_that_is_too_fast_is_skipped(desk: Desk) -> None:
    with desk.log.open("wb") as file:
        # Nobody reads all of this before the test is given up.
        file.truncate(1024**4)
    desk.write("\nthe end\n")
    desk.ask(lines=1)
    assert desk.lines(0) == "the end\n"
    with desk.log.open("ab") as file:
        file.write((b"x" * 99 + b"\n") * (2 * BEHIND_BYTES // 100))
    (told,) = desk.told(PAUSE_SECONDS)
    assert "bytes were skipped" in told["notes"][0]
    assert len(told["text"]) < 66_000
    desk.write("seen\n")
    assert desk.lines() == "seen\n"


def test_a_kill_between_look_and_word_neither_loses_nor_doubles_a_line(desk: Desk) -> None:
    desk.write("a\n")
    desk.ask()
    # As a process that was killed in the middle of the step leaves it.
    task = desk.engine.take()
    assert task is not None
    desk.engine._running.clear()
    desk.clock.advance(11)
    desk.ask(goes_on=True)
    assert desk.lines(0) == "a\n"


def test_what_cannot_be_read_says_why(desk: Desk, own_sshd: Sshd) -> None:
    with desk.database.write() as tx:
        instance = clusters.instance(tx.connection, "i")
        clusters.change_instance(tx, instance, ssh_port=own_sshd.port)
    own_sshd.stop()
    desk.ask(follow=False)
    (told,) = [one for _ in range(4) for one in desk.told(3)]
    assert told["last"]
    assert told["problem"]["message"]
    assert rows(desk) == []


def test_one_log_has_so_many_readers_and_no_more(desk: Desk) -> None:
    for number in range(MOST_READERS + 1):
        desk.ask(f"r{number}")
    refused = [one for one in desk.told() if one["problem"] is not None]
    assert [one["reading_id"] for one in refused] == [f"r{MOST_READERS}"]


def test_a_cluster_that_goes_ends_its_readers(desk: Desk) -> None:
    desk.ask()
    desk.told()
    with desk.database.write() as tx:
        tasks.cancel(tx, cluster_id="c")
    (told,) = desk.told(PAUSE_SECONDS)
    assert (told["last"], told["problem"]["message"]) == (True, "the instance goes")
    assert rows(desk) == []


def rows(desk: Desk) -> list[Any]:
    with desk.database.read() as connection:
        return list(connection.execute(select(desk.database.metadata.tables["readings"])).all())
