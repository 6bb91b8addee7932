"""The step engine, over a real SQLite file and a clock that the test owns."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import MetaData, select, update

from shared.clock import ManualClock
from shared.contracts.values import Problem
from shared.db import Database, Tx, tasks
from shared.engine import MAX_CLAIMS, StepEngine
from shared.errors import Conflict, Failure, Retryable, StaleEpoch
from shared.workflow import Next, Outcome, Step, StepContext, Task, TaskDraft, Wait, Workflow

Run = Callable[[StepContext], Outcome]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock) -> Database:
    made = Database(f"sqlite:///{tmp_path}/test.sqlite", "tester", MetaData(), clock)
    made.metadata.create_all(made.engine)
    return made


def engine_of(database: Database, workflow: Workflow, owner: str = "one") -> StepEngine:
    return StepEngine(database, {workflow.name: workflow}, owner=owner)


def file(database: Database, task_id: str = "t1", subject: str = "s1", kind: str = "w") -> bool:
    with database.write() as tx:
        return tx.file(TaskDraft(id=task_id, kind=kind, subject=subject, cluster_id="c1", operation_id="o1"))


def drain(engine: StepEngine, clock: ManualClock, rounds: int = 100) -> None:
    for _ in range(rounds):
        pause = engine.run_due()
        if pause is None:
            return
        clock.advance(pause)
    raise AssertionError("the engine did not come to rest")


def status(database: Database, task_id: str = "t1") -> str:
    with database.read() as connection:
        query = select(database.tasks.c.status).where(database.tasks.c.id == task_id)
        return str(connection.execute(query).scalar_one())


def reports(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        bodies = [json.loads(row.body) for row in connection.execute(select(database.outbox).order_by("id"))]
    return [(body["step"], body["status"]) for body in bodies if "step" in body]


def noting(log: list[str], name: str) -> Run:
    def run(_: StepContext) -> Outcome:
        log.append(name)
        return Next()

    return run


def test_steps_run_in_order_and_each_is_reported(database: Database, clock: ManualClock) -> None:
    log: list[str] = []
    workflow = Workflow("w", (Step("a", noting(log, "a")), Step("b", noting(log, "b"))))
    file(database)
    drain(engine_of(database, workflow), clock)
    assert log == ["a", "b"]
    assert reports(database) == [("a", "running"), ("a", "succeeded"), ("b", "running"), ("b", "succeeded")]
    assert status(database) == "succeeded"


def test_a_task_is_filed_once_however_often_its_message_comes(database: Database) -> None:
    assert file(database)
    assert not file(database)


def test_a_wait_is_a_due_time_and_never_a_sleep(database: Database, clock: ManualClock) -> None:
    looks: list[float] = []

    def look(_: StepContext) -> Outcome:
        looks.append(clock.monotonic())
        return Wait(5, "not yet") if len(looks) < 3 else Next()

    file(database)
    engine = engine_of(database, Workflow("w", (Step("look", look),)))
    assert engine.run_due() == 0.0
    assert engine.run_due() == pytest.approx(5)
    drain(engine, clock)
    assert looks == [0, 5, 10]


def test_a_wait_past_the_deadline_fails_with_its_reason(database: Database, clock: ManualClock) -> None:
    seen: list[Problem] = []
    step = Step("look", lambda _: Wait(5, "the server is BUILD"), deadline=12)
    workflow = Workflow("w", (step,), on_failure=lambda _tx, _task, problem: seen.append(problem))
    file(database)
    drain(engine_of(database, workflow), clock)
    assert status(database) == "failed"
    assert "the server is BUILD" in seen[0].message
    assert clock.monotonic() <= 12 + 5


@pytest.mark.parametrize("growth", [1.3, 2.0])
def test_a_retryable_error_is_tried_again_with_growing_pauses(
    database: Database, clock: ManualClock, growth: float
) -> None:
    times: list[float] = []

    def flaky(_: StepContext) -> Outcome:
        times.append(clock.monotonic())
        if len(times) < 5:
            raise Retryable("busy")
        return Next()

    step = Step("call", flaky, backoff=1, backoff_cap=60, growth=growth)
    file(database)
    drain(engine_of(database, Workflow("w", (step,))), clock)
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(growth**n / 2 <= pause <= growth**n for n, pause in enumerate(pauses))
    assert status(database) == "succeeded"


def test_who_asked_to_be_left_alone_is_left_alone_for_so_long(database: Database, clock: ManualClock) -> None:
    times: list[float] = []

    def asked_for_patience(_: StepContext) -> Outcome:
        times.append(clock.monotonic())
        if len(times) == 1:
            raise Retryable("429", after=40.0)
        return Next()

    file(database)
    drain(engine_of(database, Workflow("w", (Step("call", asked_for_patience, backoff=1),))), clock)
    assert times[1] - times[0] == 40.0


def test_a_failure_undoes_what_was_begun_last_first(database: Database, clock: ManualClock) -> None:
    log: list[str] = []

    def fail(_: StepContext) -> Outcome:
        raise Failure("no more servers", stderr="quota")

    steps = (
        Step("a", noting(log, "a"), undo=noting(log, "undo a")),
        Step("b", noting(log, "b")),
        Step("c", fail, undo=noting(log, "undo c")),
        Step("d", noting(log, "d"), undo=noting(log, "undo d")),
    )
    workflow = Workflow("w", steps, undo_on_failure=True, on_failure=lambda _tx, _t, p: log.append(p.stderr))
    file(database)
    drain(engine_of(database, workflow), clock)
    assert log == ["a", "b", "undo c", "undo a", "quota"]
    assert status(database) == "failed"


def test_a_cancelled_task_undoes_itself_and_says_so(database: Database, clock: ManualClock) -> None:
    log: list[str] = []
    steps = (Step("a", noting(log, "a"), undo=noting(log, "undo a")), Step("b", lambda _: Wait(60, "slow")))
    ended: list[str] = []
    workflow = Workflow("w", steps, on_cancelled=lambda _tx, task: ended.append(task.id))
    file(database)
    engine = engine_of(database, workflow)
    engine.run_due()
    with database.write() as tx:
        assert tasks.cancel(tx, cluster_id="c1") == 1
    drain(engine, clock)
    assert log == ["a", "undo a"]
    assert ended == ["t1"]
    assert status(database) == "cancelled"


def test_a_step_that_dies_is_run_again_once_its_lease_has_ended(database: Database, clock: ManualClock) -> None:
    runs: list[int] = []

    def die_once(context: StepContext) -> Outcome:
        runs.append(context.task.epoch)
        if len(runs) == 1:
            raise RuntimeError("a bug, or the end of the process")
        return Next()

    file(database)
    engine = engine_of(database, Workflow("w", (Step("a", die_once),)))
    engine.run_due()
    assert engine.run_due() == pytest.approx(engine.lease)
    drain(engine, clock)
    assert len(runs) == 2
    assert runs[1] > runs[0]
    assert status(database) == "succeeded"


def test_a_step_that_always_dies_is_given_up_with_a_reason(database: Database, clock: ManualClock) -> None:
    def die(_: StepContext) -> Outcome:
        raise RuntimeError("always")

    seen: list[Problem] = []
    workflow = Workflow("w", (Step("a", die),), on_failure=lambda _tx, _t, problem: seen.append(problem))
    file(database)
    drain(engine_of(database, workflow), clock)
    assert str(MAX_CLAIMS) in seen[0].message


def test_a_worker_whose_lease_was_taken_over_can_store_nothing(database: Database, clock: ManualClock) -> None:
    workflow = Workflow("w", (Step("a", noting([], "a")),))
    file(database)
    with database.write() as tx:
        old = tasks.claim(tx, "t1", "s1", "old", 10)
    assert old is not None
    clock.advance(11)
    with database.write() as tx:
        new = tasks.claim(tx, "t1", "s1", "new", 10)
    assert new is not None
    assert new.epoch > old.epoch
    with pytest.raises(StaleEpoch), database.write() as tx:
        tasks.save(tx, old, message="too late")
    assert engine_of(database, workflow).run_due() == pytest.approx(10)


def test_two_tasks_never_work_on_one_subject_at_a_time(database: Database) -> None:
    file(database, "t1", "host")
    file(database, "t2", "host")
    with database.write() as tx:
        assert tasks.claim(tx, "t1", "host", "one", 10) is not None
        assert tasks.claim(tx, "t2", "host", "two", 10) is None


def test_epochs_of_a_subject_grow_over_all_its_tasks(database: Database, clock: ManualClock) -> None:
    epochs: list[int] = []

    def note(context: StepContext) -> Outcome:
        epochs.append(context.task.epoch)
        return Next()

    engine = engine_of(database, Workflow("w", (Step("a", note),)))
    for number in range(3):
        file(database, f"t{number}", "host")
        drain(engine, clock)
    assert epochs == sorted(set(epochs))


def test_what_a_step_saves_and_announces_is_lost_together_when_the_commit_fails(
    database: Database, clock: ManualClock
) -> None:
    attempts: list[int] = []

    def save(tx: Tx) -> None:
        tx.connection.execute(update(database.tasks).values(message="half"))
        attempts.append(1)
        if len(attempts) == 1:
            raise RuntimeError("the connection is gone")

    file(database)
    engine = engine_of(database, Workflow("w", (Step("a", lambda _: Next(save=save)),)))
    engine.run_due()
    assert reports(database) == [("a", "running")]
    drain(engine, clock)
    assert status(database) == "succeeded"


def test_a_step_whose_effects_are_refused_fails_with_their_words(database: Database, clock: ManualClock) -> None:
    def save(tx: Tx) -> None:
        raise Conflict("the instance was deleted meanwhile")

    seen: list[str] = []
    step = Step("a", lambda _: Next(save=save))
    workflow = Workflow("w", (step,), on_failure=lambda _tx, _task, problem: seen.append(problem.message))
    file(database)
    drain(engine_of(database, workflow), clock)
    assert seen == ["the instance was deleted meanwhile"]
    assert status(database) == "failed"


def test_a_cancel_that_comes_while_a_step_ends_stops_the_next_one(database: Database, clock: ManualClock) -> None:
    log: list[str] = []

    def first(_: StepContext) -> Outcome:
        log.append("first")
        with database.write() as tx:
            tasks.cancel(tx, operation_id="o1")
        return Next()

    steps = (Step("first", first, undo=noting(log, "undo first")), Step("second", noting(log, "second")))
    file(database)
    drain(engine_of(database, Workflow("w", steps)), clock)
    assert log == ["first", "undo first"]
    assert status(database) == "cancelled"


def test_a_running_task_hears_of_a_cancel_without_waiting_for_a_heartbeat(
    database: Database, clock: ManualClock
) -> None:
    def work(context: StepContext) -> Outcome:
        with database.write() as tx:
            tasks.cancel(tx, operation_id="o1")
        engine.hear_cancels()
        context.check()
        raise AssertionError("not cancelled")

    engine = engine_of(database, Workflow("w", (Step("a", work),)))
    file(database)
    drain(engine, clock)
    assert status(database) == "cancelled"


def test_a_task_of_a_kind_that_this_version_does_not_know_is_kept_for_one_that_does(
    database: Database, clock: ManualClock
) -> None:
    file(database, kind="from the future")
    engine = engine_of(database, Workflow("w", (Step("a", noting([], "a")),)))
    for _ in range(5):
        clock.advance(engine.run_due() or 0)
    assert status(database) == "open"
    newer = engine_of(database, Workflow("from the future", (Step("a", noting([], "a")),)))
    drain(newer, clock)
    assert status(database) == "succeeded"


def test_a_failed_task_goes_on_from_the_step_that_failed(database: Database, clock: ManualClock) -> None:
    log: list[str] = []

    def fail_once(_: StepContext) -> Outcome:
        log.append("b")
        if log.count("b") == 1:
            raise Failure("mirror is down")
        return Next()

    file(database)
    engine = engine_of(database, Workflow("w", (Step("a", noting(log, "a")), Step("b", fail_once))))
    drain(engine, clock)
    assert status(database) == "failed"
    with database.write() as tx:
        assert tasks.reopen(tx, "o1") == 1
    drain(engine, clock)
    assert log == ["a", "b", "b"]
    assert status(database) == "succeeded"


def test_the_heartbeat_renews_leases_and_hears_of_a_cancel(database: Database, clock: ManualClock) -> None:
    heard: list[str] = []

    def work(context: StepContext) -> Outcome:
        for _ in range(4):
            clock.advance(4)
            engine.heartbeat()
        context.check()
        with database.write() as tx:
            tasks.cancel(tx, operation_id="o1")
        engine.heartbeat()
        heard.append("before")
        context.check()
        return Next()

    engine = engine_of(database, Workflow("w", (Step("a", work),)))
    file(database)
    drain(engine, clock)
    assert heard == ["before"]
    assert status(database) == "cancelled"


def test_a_report_carries_percent_message_and_output(database: Database, clock: ManualClock) -> None:
    def work(context: StepContext) -> Outcome:
        context.report("installing", percent=40, output="line one\n")
        return Next()

    file(database)
    drain(engine_of(database, Workflow("w", (Step("a", work),))), clock)
    with database.read() as connection:
        bodies = [json.loads(row.body) for row in connection.execute(select(database.outbox).order_by("id"))]
    assert any(b["percent"] == 40 and b["message"] == "installing" and b["output"] == "line one\n" for b in bodies)
    sequences = [body["sequence"] for body in bodies]
    assert sequences == sorted(set(sequences))


def test_a_task_whose_step_no_version_knows_waits_for_the_upgrade_then_fails_with_a_sentence(
    database: Database, clock: ManualClock
) -> None:
    file(database)
    with database.write() as tx:
        tx.connection.execute(update(database.tasks).values(step="gone"))
    seen: list[Task] = []
    workflow = Workflow("w", (Step("a", noting([], "a")),), on_failure=lambda _tx, task, _p: seen.append(task))
    drain(engine_of(database, workflow), clock, rounds=300)
    assert status(database) == "failed"
