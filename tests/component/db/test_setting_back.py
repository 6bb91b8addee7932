"""A database that was set back to an older copy: hosts take its word again, and nothing goes on by itself."""

from __future__ import annotations

from sqlalchemy import select

from shared.contracts.operations import OperationEnded
from shared.db import Database, tasks
from shared.db.outbox import Outbox
from shared.db.setting_back import HELD, Waiting, resume, set_back
from shared.engine import StepEngine
from shared.workflow import Next, Outcome, Step, StepContext, TaskDraft, Workflow

EPOCHS = 1000


def file(database: Database, *ids: str) -> None:
    with database.write() as tx:
        for task_id in ids:
            tx.file(TaskDraft(task_id, "work", task_id, "c", "o"))


def claim(database: Database, task_id: str) -> int:
    """The epoch of a claim whose lease is over at once."""
    with database.write() as tx:
        task = tasks.claim(tx, task_id, task_id, "somebody", 0.0)
    assert task is not None
    return task.epoch


def back(database: Database) -> Waiting:
    with database.write() as tx:
        return set_back(tx, EPOCHS)


def go_on(database: Database) -> Waiting:
    with database.write() as tx:
        return resume(tx)


def test_every_subject_goes_on_beyond_all_epochs_that_were_given_since_the_copy(database: Database) -> None:
    file(database, "known", "unclaimed")
    assert claim(database, "known") == 1
    back(database)
    go_on(database)
    file(database, "new")
    assert claim(database, "known") == EPOCHS + 2
    # Somebody may have claimed these between the copy and now: the copy cannot know.
    assert claim(database, "unclaimed") == EPOCHS + 1
    assert claim(database, "new") == EPOCHS + 1


def test_a_second_time_goes_further_still(database: Database) -> None:
    file(database, "known")
    claim(database, "known")
    for _ in range(2):
        back(database)
    go_on(database)
    assert claim(database, "known") == 2 * EPOCHS + 2


def test_open_work_and_unsent_messages_wait_for_a_word_and_what_ended_is_as_it_was(database: Database) -> None:
    ran: list[str] = []

    def run(context: StepContext) -> Outcome:
        ran.append(context.task.id)
        return Next()

    engine = StepEngine(database, {"work": Workflow("work", (Step("one", run),))})
    file(database, "ended")
    engine.run_due()
    file(database, "held")
    with database.write() as tx:
        tx.connection.execute(database.outbox.delete())
        tx.emit(OperationEnded(operation_id="o", cluster_id="c", status="succeeded"))
    assert back(database) == Waiting(tasks=1, messages=1)
    assert back(database) == Waiting(tasks=1, messages=1)

    pause = engine.run_due()
    assert pause is not None
    assert pause > 1e9
    with Outbox(database).batch(10) as batch:
        assert list(batch.rows) == []
    assert Outbox(database).depth() == 1

    assert go_on(database) == Waiting(tasks=1, messages=1)
    engine.run_due()
    assert ran == ["ended", "held"]
    with Outbox(database).batch(10) as batch:
        assert "operation.ended" in [row.routing_key for row in batch.rows]


def test_what_somebody_had_a_lease_on_is_nobodys_any_more(database: Database) -> None:
    file(database, "leased")
    with database.write() as tx:
        assert tasks.claim(tx, "leased", "leased", "one who is gone", 1e6) is not None
    back(database)
    go_on(database)
    assert claim(database, "leased") == EPOCHS + 2


def test_a_held_task_that_a_user_cancels_is_cancelled_and_the_others_wait(database: Database) -> None:
    file(database, "one", "two")
    with database.write() as tx:
        tx.connection.execute(database.tasks.update().where(database.tasks.c.id == "two").values(operation_id="other"))
    back(database)
    with database.write() as tx:
        assert tasks.cancel(tx, operation_id="other") == 1
    with database.read() as connection:
        rows = connection.execute(select(database.tasks.c.id, database.tasks.c.due_at))
        due = {row.id: row.due_at for row in rows}
    assert due["one"] == HELD
    assert due["two"] < HELD


def test_what_is_filed_afterwards_does_not_wait(database: Database) -> None:
    file(database, "old")
    back(database)
    file(database, "new")
    with database.read() as connection:
        assert [task_id for task_id, _ in tasks.look(connection, database).ready] == ["new"]
