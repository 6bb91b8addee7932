"""Claims on both engines: one subject has one worker, whoever races for it, and nobody starves."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.clock import ManualClock
from shared.db import Database, tasks
from shared.engine import StepEngine
from shared.errors import StaleEpoch
from shared.workflow import Next, Outcome, Step, StepContext, Task, TaskDraft, Workflow
from tests.component.db.conftest import open_database

RACERS = 8


def file(database: Database, *ids: str, subject: str = "") -> None:
    with database.write() as tx:
        for task_id in ids:
            tx.file(TaskDraft(task_id, "work", subject or task_id, "c", "o"))


def test_of_many_who_claim_a_task_one_gets_it(database: Database) -> None:
    start = threading.Barrier(RACERS)

    def race(number: int) -> bool:
        mine = open_database(database.url)
        start.wait()
        with mine.write() as tx:
            return tasks.claim(tx, "t", "s", f"racer {number}", 10) is not None

    file(database, "t", subject="s")
    with ThreadPoolExecutor(RACERS) as pool:
        assert sum(pool.map(race, range(RACERS))) == 1


def test_of_many_who_claim_different_tasks_of_one_subject_one_gets_his(database: Database) -> None:
    start = threading.Barrier(RACERS)

    def race(number: int) -> bool:
        mine = open_database(database.url)
        start.wait()
        with mine.write() as tx:
            return tasks.claim(tx, f"t{number}", "s", f"racer {number}", 10) is not None

    file(database, *[f"t{number}" for number in range(RACERS)], subject="s")
    with ThreadPoolExecutor(RACERS) as pool:
        assert sum(pool.map(race, range(RACERS))) == 1


def test_engines_that_share_a_database_run_each_step_once_and_one_subject_at_a_time(database: Database) -> None:
    runs: Counter[str] = Counter()
    busy: set[str] = set()
    clashes: list[str] = []
    guard = threading.Lock()

    def work(context: StepContext) -> Outcome:
        subject = context.task.subject
        with guard:
            runs[context.task.id] += 1
            clashes.extend([subject] if subject in busy else [])
            busy.add(subject)
        threading.Event().wait(0.01)
        with guard:
            busy.discard(subject)
        return Next()

    def run(number: int) -> None:
        flow = Workflow("work", (Step("only", work),))
        engine = StepEngine(open_database(database.url), {"work": flow}, owner=f"engine {number}")
        while engine.run_due() is not None:
            continue

    for subject in range(5):
        file(database, *[f"t{subject}-{number}" for number in range(6)], subject=f"s{subject}")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert clashes == []
    assert runs == Counter({f"t{subject}-{number}": 1 for subject in range(5) for number in range(6)})


def test_blocked_tasks_however_many_hide_no_other(database: Database) -> None:
    file(database, *[f"blocked{number:02}" for number in range(60)], subject="busy")
    file(database, "ready")
    flow = Workflow("work", (Step("only", lambda _: Next()),))
    engine = StepEngine(database, {"work": flow})
    first, second = engine.take(), engine.take()
    assert first is not None
    assert second is not None
    assert {first.subject, second.subject} == {"busy", "ready"}
    assert engine.take() is None


def test_an_engine_at_rest_knows_when_the_next_lease_runs_out(database_url: str) -> None:
    clock = ManualClock()
    database = open_database(database_url, clock)
    with database.write() as tx:
        database.metadata.create_all(tx.connection)
    file(database, *[f"blocked{number:02}" for number in range(60)], subject="busy")
    with database.write() as tx:
        assert tasks.claim(tx, "blocked00", "busy", "another", 7)
    engine = StepEngine(database, {})
    assert engine.take() is None
    assert engine.seconds_to_next() == pytest.approx(7)


def test_a_failed_claim_leaves_the_holders_epoch_the_highest(database: Database) -> None:
    file(database, "t1", "t2", subject="s")
    with database.write() as tx:
        holder = tasks.claim(tx, "t1", "s", "one", 10)
    for _ in range(3):
        with database.write() as tx:
            assert tasks.claim(tx, "t2", "s", "two", 10) is None
    with database.write() as tx:
        assert holder is not None
        tasks.finish(tx, holder, "succeeded")
        following = tasks.claim(tx, "t2", "s", "two", 10)
    assert following is not None
    assert following.epoch == holder.epoch + 1


def test_who_lost_his_claim_can_neither_store_nor_report(database_url: str) -> None:
    clock = ManualClock()
    database = open_database(database_url, clock)
    with database.write() as tx:
        database.metadata.create_all(tx.connection)
    file(database, "t", subject="s")
    said: list[str] = []

    def overslept(context: StepContext) -> Outcome:
        clock.advance(60)
        with database.write() as tx:
            assert tasks.claim(tx, "t", "s", "another", 10)
        with pytest.raises(StaleEpoch):
            context.report("I am still at it")
        engine.heartbeat()
        with pytest.raises(StaleEpoch):
            context.check()
        said.append("knows")
        return Next()

    engine = StepEngine(database, {"work": Workflow("work", (Step("only", overslept),))})
    engine.run_due()
    assert said == ["knows"]
    with database.read() as connection:
        task = tasks.get(connection, database, "t")
    assert task is not None
    assert (task.done, task.claims) == ((), 2)


def test_a_handed_over_task_is_free_at_once_and_costs_no_try(database: Database) -> None:
    file(database, "t", subject="s")
    flow = Workflow("work", (Step("only", lambda _: Next()),))
    engine, other = (StepEngine(open_database(database.url), {"work": flow}, owner=name) for name in ("one", "two"))
    taken = engine.take()
    assert taken is not None
    assert other.take() is None
    engine.hand_over(engine.held())
    again = other.take()
    assert again is not None
    assert (again.claims, again.epoch) == (1, taken.epoch + 1)


def claimed(database: Database) -> Task:
    file(database, "t", subject="s")
    with database.write() as tx:
        task = tasks.claim(tx, "t", "s", "one", 10)
    assert task is not None
    return task


def test_a_heartbeat_that_comes_late_leases_nothing_that_was_let_go(database: Database) -> None:
    database.clock = ManualClock()
    task = claimed(database)
    with database.write() as tx:
        tasks.let_go(tx, task)
    with database.write() as tx:
        lost, _ = tasks.renew(tx, [task], 10)
    assert lost == {("t", task.epoch)}
    with database.write() as tx:
        assert tasks.claim(tx, "t", "s", "another", 10) is not None


def test_a_claim_that_was_lost_says_nothing_of_the_next_one_in_the_same_hands(database: Database) -> None:
    database.clock = ManualClock()
    before = claimed(database)
    with database.write() as tx:
        tasks.let_go(tx, before)
    engine = StepEngine(database, {"work": Workflow("work", (Step("only", lambda _: Next()),))})
    now = engine.take()
    assert now is not None
    with database.write() as tx:
        lost, _ = tasks.renew(tx, [before, now], 10)
    engine._mark(set(), lost)
    engine.work(now)
    with database.read() as connection:
        assert tasks.open_tasks(connection, database, "c") == 0
