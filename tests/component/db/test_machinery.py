"""Inbox, outbox and sealed columns, on both engines."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text

from shared.clock import ManualClock
from shared.contracts.base import Event, event
from shared.db import Database, Sealed
from shared.db.engine import INBOX_DAYS, OUTBOX_DAYS, TASK_DAYS
from shared.db.outbox import Outbox, repeat
from shared.errors import Unavailable
from shared.secrets import Keyring, Secret, new_key
from shared.workflow import TaskDraft
from tests.component.db.conftest import open_database

CANARY = "canary-9c2e-never-in-clear"


@event("tester.said", publisher="*")
@dataclass(frozen=True, kw_only=True)
class Said(Event):
    """A test event."""

    number: int


@event("tester.told", publisher="*")
@dataclass(frozen=True, kw_only=True)
class OfOperation(Event):
    """A test event that belongs to an operation."""

    number: int
    operation_id: str


@event("tester.passed", publisher="*", lasting=False)
@dataclass(frozen=True, kw_only=True)
class Passing(Event):
    """One that nobody needs to hear again."""

    number: int
    operation_id: str


def say(database: Database, *numbers: int) -> None:
    with database.write() as tx:
        for number in numbers:
            tx.emit(Said(number=number))


def bodies(database: Database) -> list[str]:
    with Outbox(database).batch(100) as batch:
        return [str(row.body) for row in batch.rows]


def test_an_event_is_met_once_by_each_consumer_however_many_hands_hold_it(database: Database) -> None:
    def meet(_: int) -> bool:
        with open_database(database.url).write() as tx:
            return tx.first_seen("event-1", "consumer")

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(meet, range(8))) == 1
    with database.write() as tx:
        assert tx.first_seen("event-1", "another")


def test_a_task_is_filed_once_however_many_file_it_at_a_time(database: Database) -> None:
    def file(_: int) -> bool:
        with open_database(database.url).write() as tx:
            return tx.file(TaskDraft("t", "k", "s", "c", "o"))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(file, range(8))) == 1


def test_what_a_transaction_announced_goes_with_it_when_it_fails(database: Database) -> None:
    def half_way() -> None:
        with database.write() as tx:
            tx.emit(Said(number=1))
            tx.first_seen("event-1", "consumer")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        half_way()
    assert Outbox(database).depth() == 0
    with database.write() as tx:
        assert tx.first_seen("event-1", "consumer")


def test_messages_leave_in_the_order_in_which_they_were_written(database: Database) -> None:
    for number in range(20):
        say(database, number)
    with Outbox(database).batch(100) as batch:
        assert [f'"number": {number}' in str(row.body) for number, row in enumerate(batch.rows)] == [True] * 20


def test_what_was_sent_goes_what_was_not_stays_and_what_nobody_takes_comes_later(database: Database) -> None:
    say(database, 1, 2, 3)

    def relay() -> None:
        with Outbox(database).batch(100) as batch:
            batch.sent(batch.rows[0].id)
            batch.postponed(batch.rows[1].id, "no queue is bound")
            raise Unavailable("the broker went away")

    with pytest.raises(Unavailable):
        relay()
    (left,) = bodies(database)
    assert '"number": 3' in left
    assert Outbox(database).depth() == 2


def test_the_relays_of_two_replicas_share_the_work_where_rows_can_be_locked(database: Database) -> None:
    say(database, *range(6))
    other = Outbox(open_database(database.url))
    with Outbox(database).batch(3) as one, other.batch(3) as two:
        shared = {row.id for row in one.rows} & {row.id for row in two.rows}
        assert shared == (set() if database.locks_rows else {row.id for row in one.rows})
        for batch in (one, two):
            for row in batch.rows:
                batch.sent(row.id)
    assert Outbox(database).depth() == (0 if database.locks_rows else 3)


def test_a_message_with_a_secret_is_sealed_until_it_leaves(database: Database, database_url: str) -> None:
    Sealed.keyring = Keyring((new_key(),))
    body = f'{{"token": "{CANARY}"}}'.encode() + bytes(range(256))
    with database.write() as tx:
        tx.send("a.queue", Secret(body.decode("latin-1")), {"x-topic": "cluster.requested"})
    assert CANARY not in _at_rest(database)
    with Outbox(database).batch(1) as batch:
        (row,) = batch.rows
        assert (row.exchange, row.routing_key, row.body) == ("", "a.queue", body)
        assert row.headers == {"x-topic": "cluster.requested"}


def _at_rest(database: Database) -> str:
    """All that the database keeps, as an intruder finds it."""
    if database.url.startswith("sqlite"):
        directory = Path(database.url.removeprefix("sqlite:///")).parent
        return "".join(path.read_bytes().decode("latin-1") for path in directory.glob("test.sqlite*"))
    with database.read() as connection:
        return str(connection.execute(text("select * from outbox")).all())


def test_a_statement_that_fails_is_logged_without_its_values(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with database.write() as tx:
        tx.connection.execute(text("drop table outbox"))
    with pytest.raises(Exception, match="outbox") as failure:
        say(database, 8_675_309)
    assert "8675309" not in caplog.text + str(failure.value) + str(failure.value.__cause__)


def test_callbacks_come_after_the_commit_and_only_for_what_concerns_them(database: Database) -> None:
    heard: list[str] = []
    database.on_outbox(lambda: heard.append(f"outbox {Outbox(database).depth()}"))
    database.on_tasks(lambda: heard.append("tasks"))
    with database.write() as tx:
        tx.connection.execute(insert(database.metadata.tables["effects"]).values(id="1", what="quiet"))
    assert heard == []
    say(database, 1)
    with database.write() as tx:
        tx.file(TaskDraft("t", "k", "s", "c", "o"))
    assert heard == ["outbox 1", "tasks"]


def test_what_was_done_with_long_ago_is_forgotten_and_nothing_else(database_url: str) -> None:
    clock = ManualClock()
    database = open_database(database_url, clock)
    with database.write() as tx:
        database.metadata.create_all(tx.connection)
        tx.first_seen("old", "consumer")
        tx.file(TaskDraft("open", "k", "s", "c", "o"))
        tx.file(TaskDraft("ended", "k", "s", "c", "o"))
        done = database.tasks.update().where(database.tasks.c.id == "ended")
        tx.connection.execute(done.values(status="succeeded", finished_at=clock.now()))
    clock.advance(timedelta(days=INBOX_DAYS - 1).total_seconds())
    assert database.forget_old() == 0
    clock.advance(timedelta(days=TASK_DAYS).total_seconds())
    with database.write() as tx:
        tx.first_seen("new", "consumer")
    assert database.forget_old() == 2
    with database.read() as connection:
        assert connection.execute(select(database.tasks.c.id)).scalars().all() == ["open"]
        assert connection.execute(select(func.count()).select_from(database.inbox)).scalar_one() == 1


def publish(database: Database) -> list[int]:
    """Send what is due, as the relay does; the numbers that were said."""
    with Outbox(database).batch(100) as batch:
        for row in batch.rows:
            batch.sent(row.id)
        return [int(json.loads(row.body)["number"]) for row in batch.rows]


def test_what_was_said_of_an_operation_is_said_again_on_request(database: Database) -> None:
    with database.write() as tx:
        tx.emit(OfOperation(number=1, operation_id="a"))
        tx.emit(OfOperation(number=2, operation_id="b"))
        tx.emit(Passing(number=3, operation_id="a"))
        tx.emit(Said(number=4))
    assert publish(database) == [1, 2, 3, 4]
    assert Outbox(database).depth() == 0
    assert repeat(database, "a") == 1
    assert publish(database) == [1]
    assert publish(database) == []


def test_what_has_not_been_sent_yet_is_not_said_twice(database: Database) -> None:
    with database.write() as tx:
        tx.emit(OfOperation(number=1, operation_id="a"))
    assert repeat(database, "a") == 0
    assert publish(database) == [1]


def test_what_was_sent_is_forgotten_before_the_inboxes_forget_it(database: Database) -> None:
    clock = ManualClock(database.clock.now())
    database.clock = clock
    with database.write() as tx:
        tx.emit(OfOperation(number=1, operation_id="a"))
    publish(database)
    clock.advance(timedelta(days=OUTBOX_DAYS + 1).total_seconds())
    assert OUTBOX_DAYS < INBOX_DAYS
    database.forget_old()
    assert repeat(database, "a") == 0


def test_a_relay_that_stood_still_ticks_off_only_what_it_has_read(database: Database) -> None:
    say(database, 1)
    with Outbox(database).batch(100) as stood_still:
        assert publish(open_database(database.url)) == [1] or database.locks_rows
        say(database, 2)
        for row in stood_still.rows:
            stood_still.sent(row.id)
    assert publish(database) == [2]
