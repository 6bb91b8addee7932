"""Who keeps which log, over the service's own tables, on both engines: leases, pace, and what a turn ends with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from services.datastore_agentless.archiving import Archiver
from services.datastore_agentless.archiving.archiver import LEASE_SECONDS, MANY
from services.datastore_agentless.domain.archive import Archive
from services.datastore_agentless.domain.backup import Backup, State
from services.datastore_agentless.store import archives, backups
from shared.clock import ManualClock
from shared.db import Database
from shared.errors import Cancelled, DtroveError, Retryable, StaleEpoch
from tests.component.watching.conftest import WAIT_SECONDS, eventually, serve

PACE = 60.0


@dataclass
class Turns:
    """What each turn comes to: `brought` pieces, or an error; who has begun one. They wait for the gate."""

    brought: int | None = 0
    error: DtroveError | None = None
    begun: list[tuple[str, int]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def turn(self, archive: Archive, check: Callable[[], None]) -> int | None:
        self.begun.append((archive.cluster_id, archive.epoch))
        assert self.gate.wait(WAIT_SECONDS)
        try:
            check()
            if self.error:
                raise self.error
        finally:
            self.ended.append(archive.cluster_id)
        return self.brought


def keeper(database: Database, turns: Turns, worker: str = "w1") -> Archiver:
    return Archiver(database, turns.turn, lambda: ["d"], PACE, worker)


def with_backup(database: Database, *names: str, state: State = State.MAKING) -> None:
    """Clusters that serve, each with a backup."""
    serve(database, *names)
    with database.write() as tx:
        for name in names:
            backups.add(
                tx, Backup(f"b-{name}", name, "p", f"o-{name}", tx.database.clock.now(), key=f"p/{name}/b", state=state)
            )


def turn(one: Archiver, clock: ManualClock, seconds: float = 0.0) -> None:
    """Let time pass, then all turns that are due."""
    clock.advance(seconds)
    one.tick()
    eventually(lambda: not one.busy)


def test_the_log_of_a_cluster_is_kept_from_its_first_backup_on(database: Database, clock: ManualClock) -> None:
    turns = Turns()
    one = keeper(database, turns)
    serve(database, "a")
    turn(one, clock)
    assert turns.begun == []
    with_backup(database, "b")
    turn(one, clock, 3)
    assert turns.begun == [("b", 1)]


def test_a_cluster_is_due_again_after_its_time_and_at_once_where_much_has_come(
    database: Database, clock: ManualClock
) -> None:
    turns = Turns()
    one = keeper(database, turns)
    with_backup(database, "a")
    turn(one, clock)
    turn(one, clock, PACE * 0.8)
    assert len(turns.begun) == 1
    turns.brought = MANY
    turn(one, clock, PACE * 0.4)
    assert len(turns.begun) == 2
    turns.brought = MANY - 1
    turn(one, clock)
    turn(one, clock)
    assert len(turns.begun) == 3


def test_two_workers_share_the_logs_and_none_is_at_the_same_one(database: Database, clock: ManualClock) -> None:
    turns = Turns()
    turns.gate.clear()
    first, second = keeper(database, turns), keeper(database, turns, "w2")
    with_backup(database, "a", "b")
    first.tick()
    second.tick()
    assert second.busy == 0
    turns.gate.set()
    eventually(lambda: not first.busy)
    assert sorted(turns.begun) == [("a", 1), ("b", 1)]


def test_a_turn_that_takes_long_keeps_its_lease_and_one_of_a_dead_worker_loses_it(
    database: Database, clock: ManualClock
) -> None:
    turns = Turns()
    turns.gate.clear()
    first, second = keeper(database, turns), keeper(database, turns, "w2")
    with_backup(database, "a")
    first.tick()
    for _ in range(4):
        clock.advance(LEASE_SECONDS / 2)
        first.tick()
        second.tick()
    assert (first.busy, second.busy) == (1, 0)
    clock.advance(LEASE_SECONDS + 1)
    second.tick()
    assert second.busy == 1
    turns.gate.set()
    eventually(lambda: not first.busy and not second.busy)
    assert turns.begun == [("a", 1), ("a", 2)]


def test_the_late_end_of_a_turn_that_has_lost_its_lease_changes_nothing(database: Database, clock: ManualClock) -> None:
    with_backup(database, "a")
    with database.write() as tx:
        archives.enrol(tx, "a", "p")
        (late,) = archives.claim(tx, "w1", LEASE_SECONDS, 1)
    clock.advance(LEASE_SECONDS + 1)
    with database.write() as tx:
        (now,) = archives.claim(tx, "w2", LEASE_SECONDS, 1)
        archives.give_back(tx, late, clock.now() + timedelta(days=1))
        archives.renew(tx, [late], 1000.0)
        archives.save(tx, now)
    assert (late.epoch, now.epoch) == (1, 2)
    with database.read() as connection:
        assert not archives.is_due(connection, clock.now())
        assert archives.is_due(connection, clock.now() + timedelta(seconds=LEASE_SECONDS + 1))


def test_a_worker_that_ends_has_its_turns_end_and_leaves_the_logs_to_others_at_once(
    database: Database, clock: ManualClock
) -> None:
    turns = Turns()
    turns.gate.clear()
    first, second = keeper(database, turns), keeper(database, turns, "w2")
    with_backup(database, "a")
    first.tick()
    eventually(lambda: bool(turns.begun))
    first.stop()
    second.tick()
    assert second.busy == 1
    turns.gate.set()
    eventually(lambda: not first.busy and not second.busy)
    assert turns.begun == [("a", 1), ("a", 2)]


def test_a_turn_that_fails_is_tried_again_once_its_lease_has_run_out(database: Database, clock: ManualClock) -> None:
    for error in (Retryable("away"), StaleEpoch("somebody else"), Cancelled("the end")):
        turns = Turns(error=error)
        name = type(error).__name__.lower()
        one = keeper(database, turns)
        with_backup(database, name)
        turn(one, clock, 3)
        turns.error = None
        begun = turns.begun.count((name, 1))
        turn(one, clock, LEASE_SECONDS + 1)
        assert (begun, turns.begun.count((name, 2))) == (1, 1)


def test_of_a_log_that_is_kept_no_more_nothing_is_given_back(database: Database, clock: ManualClock) -> None:
    turns = Turns(brought=None)
    one = keeper(database, turns)
    with_backup(database, "a")
    turn(one, clock)
    turn(one, clock)
    assert len(turns.begun) == 1
